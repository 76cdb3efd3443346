"""A worker that acknowledges deliveries before Kafka has confirmed their records (law 1)."""

import asyncio
from collections.abc import Sequence

from integration.faults.worker import app as app  # noqa: PLC0414 - what `faust -A` looks for
from streams.bridge import Bridge
from streams.contract import PostId

_announce = Bridge._announce  # noqa: SLF001 - a mutant
_under_way: set[asyncio.Task[None]] = set()


async def _later(self: Bridge, ids: Sequence[PostId]) -> None:
    task = asyncio.create_task(_announce(self, ids))
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)


Bridge._announce = _later  # type: ignore[method-assign]  # noqa: SLF001 - a mutant
