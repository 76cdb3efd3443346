"""A worker that gets stuck without a word: ``faust -A integration.stuck_worker worker``.

The same app as ``streams.app``. Once a window was published with STUCK=loop its event loop stands, and with
STUCK=thread the consumer's thread; with STUCK=commit a commit never returns, as from a consumer that is dead and does
not know it.
"""

import asyncio
import os
import time
from collections.abc import Mapping

from streams.contract import Offset, Partition
from streams.group import Group
from streams.settings import load
from streams.worker import create_app

# Longer than any watchdog waits.
_FOR_EVER_SECONDS = 600


async def _never(_group: Group, _offsets: Mapping[Partition, Offset]) -> None:
    await asyncio.sleep(_FOR_EVER_SECONDS)


def _stand(point: str) -> None:
    if point != "feed.confirmed":
        return
    if os.environ["STUCK"] == "loop":
        time.sleep(_FOR_EVER_SECONDS)
    elif os.environ["STUCK"] == "thread":
        # Faust's own, in which all of the consumer runs, its heartbeat included.
        app.consumer._thread.thread_loop.call_soon_threadsafe(time.sleep, _FOR_EVER_SECONDS)  # type: ignore[attr-defined]  # noqa: SLF001 - no public way


if os.environ["STUCK"] == "commit":
    Group.commit = _never  # type: ignore[method-assign,assignment]

app = create_app(load(), checkpoint=_stand)
