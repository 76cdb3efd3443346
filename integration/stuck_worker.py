"""A worker that gets stuck without a word: ``faust -A integration.stuck_worker worker``.

The same app as ``streams.app``. With STUCK=loop its event loop stands once a window was published; with
STUCK=commit a commit never returns, as from a consumer that is dead and does not know it.
"""

import asyncio
import os
import time
from collections.abc import Mapping

from streams.app import create_app
from streams.contract import Offset, Partition
from streams.group import Group
from streams.settings import load

# Longer than any watchdog waits.
_FOR_EVER_SECONDS = 600


async def _never(_group: Group, _offsets: Mapping[Partition, Offset]) -> None:
    await asyncio.sleep(_FOR_EVER_SECONDS)


def _stand(point: str) -> None:
    if point == "feed.confirmed" and os.environ["STUCK"] == "loop":
        time.sleep(_FOR_EVER_SECONDS)


if os.environ["STUCK"] == "commit":
    Group.commit = _never  # type: ignore[method-assign,assignment]

app = create_app(load(), reached=_stand)
