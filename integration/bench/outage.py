"""The database is away under load: the worker's memory stays bounded, and the backlog drains afterwards.

``MAX_HELD`` is set so that the worker is full long before the first third of the outage is over: what it holds then is
all that it will ever hold, and the rest of the outage must not add to it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from integration.bench.crowd import crowd
from integration.bench.figures import Figure, Goal
from integration.bench.posts import FRAME_BYTES, inserted
from integration.bench.stage import Stage
from integration.bench.usage import resident_bytes, serving

PART: Final = "outage"
_MIB: Final = 1024 * 1024
_LOOK_SECONDS: Final = 0.25
_STEP_SECONDS: Final = 0.1
_ALLOWED_GROWTH: Final = 1.1
"""What the allocator may add in 40 s; a worker that kept what comes would grow several times as much."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    posts_per_second: int = 1_000
    calm_seconds: int = 5
    outage_seconds: int = 60
    max_held: int = 10_000


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Stop the database while posts keep coming."""
    stage.say(f"{PART}: {size.posts_per_second:,} posts a second, the database is away for {size.outage_seconds} s")
    postgres = stage.services.postgres
    async with (
        inserted(stage.database_url, size.posts_per_second * (size.calm_seconds + size.outage_seconds)) as ids,
        stage.installation(WINDOW_SECONDS=1, MAX_HELD=size.max_held) as (system, edge),
        crowd(edge.port, 1) as client,
        stage.announcing(system.queue) as announce,
    ):
        worker = system.worker()
        await asyncio.to_thread(worker.until_ready)
        process = serving(worker.port)
        load = asyncio.create_task(_announce(announce, ids, size.posts_per_second))
        try:
            calm = await _peak(process, size.calm_seconds)
            await asyncio.to_thread(postgres.stop)
            try:
                early = await _peak(process, size.outage_seconds / 3)
                late = await _peak(process, size.outage_seconds * 2 / 3)
            finally:
                await asyncio.to_thread(postgres.start)
            await load
        finally:
            load.cancel()
        stage.say(f"{PART}: the database is back")
        back = asyncio.get_running_loop().time()
        await client.until(len(ids) * FRAME_BYTES)
        drained = asyncio.get_running_loop().time() - back
        after = resident_bytes(process)
    return [
        Figure(PART, "worker's memory, peak before the outage", "MiB", [calm / _MIB]),
        Figure(PART, "peak of the outage's first third", "MiB", [early / _MIB]),
        Figure(PART, "peak of the rest", "MiB", [late / _MIB]),
        Figure(
            PART,
            "peak of the rest over that of the first third",
            "ratio",
            [late / early],
            Goal("at most", _ALLOWED_GROWTH),
        ),
        Figure(PART, "worker's memory after the backlog", "MiB", [after / _MIB]),
        Figure(PART, "from the database's return to the last post", "s", [drained], note=f"{len(ids):,} posts in all"),
    ]


async def _announce(announce: Callable[[Sequence[int]], Awaitable[None]], ids: Sequence[int], rate: int) -> None:
    """Announce ids at a steady rate."""
    step = max(1, round(rate * _STEP_SECONDS))
    clock = asyncio.get_running_loop().time
    begun = clock()
    for first in range(0, len(ids), step):
        await asyncio.sleep(begun + first / rate - clock())
        await announce(ids[first : first + step])


async def _peak(process: psutil.Process, seconds: float) -> int:
    """Watch for that long; return the most memory that was seen."""
    peak = 0
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while clock() < end:
        peak = max(peak, resident_bytes(process))
        await asyncio.sleep(_LOOK_SECONDS)
    return peak
