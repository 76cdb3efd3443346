"""The database is away under load: memory stays bounded, in the worker and the edge, and the backlog drains afterwards.

What a worker holds when it is full is all that it will ever hold: the rest of the outage must not add to it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from integration.bench.figures import Figure, Goal
from integration.bench.posts import inserted
from integration.bench.stage import Stage
from integration.bench.usage import resident_bytes, serving
from integration.bench.watcher import watching

PART: Final = "outage"
_MIB: Final = 1024 * 1024
_LOOK_SECONDS: Final = 0.25
_STEP_SECONDS: Final = 0.1
# The watcher is one client in Python, which a worker that catches up can outrun: the log has room for the difference.
_LOG_BYTES: Final = 256 * 1024 * 1024
_DRAIN_SECONDS: Final = 900.0
"""How long the backlog of the longest outage may take; a run is bounded, whatever hangs."""
ALLOWED_GROWTH: Final = 1.2
"""The project's bound for the whole outage over its first fifth; a worker that kept what comes would reach 5."""


@dataclass(frozen=True)
class Size:
    """How much is measured; ``max_held`` is small where a short outage is to fill the worker."""

    posts_per_second: int = 1_000
    calm_seconds: int = 5
    outage_seconds: int = 60
    max_held: int = 10_000


@dataclass(frozen=True)
class Peaks:
    """The most resident memory of a process, in bytes, by the time."""

    calm: int
    fifth: int
    """The first fifth of the outage."""
    whole: int
    """All of the outage."""
    after: int
    """What it has when the backlog is done."""

    @property
    def growth(self) -> float:
        """The whole outage over its first fifth."""
        return self.whole / self.fifth


@dataclass(frozen=True)
class Outage:
    """What was seen; ``drained`` are the seconds from the database's return to the last post."""

    worker: Peaks
    edge: Peaks
    drained: float
    posts: int


async def observe(stage: Stage, size: Size) -> Outage:
    """Stop the database while posts keep coming, and wait until all are shown, each once."""
    stage.say(f"{PART}: {size.posts_per_second:,} posts a second, the database is away for {size.outage_seconds} s")
    postgres, clock, shown = stage.services.postgres, asyncio.get_running_loop().time, Counter[int]()
    async with (
        inserted(stage.database_url, size.posts_per_second * (size.calm_seconds + size.outage_seconds)) as ids,
        stage.installation(WINDOW_SECONDS=1, MAX_HELD=size.max_held, LOG_BYTES=_LOG_BYTES) as (system, edge),
        watching(edge, lambda post: shown.update((post,))),
        stage.announcing(system.queue) as announce,
    ):
        worker = system.worker()
        await asyncio.to_thread(worker.until_ready)
        ports = (worker.port, edge.port)
        load = asyncio.create_task(_announce(announce, ids, size.posts_per_second))
        try:
            calm = await _peaks(ports, size.calm_seconds)
            await asyncio.to_thread(postgres.stop)
            try:
                first = await _peaks(ports, size.outage_seconds / 5)
                rest = await _peaks(ports, size.outage_seconds * 4 / 5)
            finally:
                await asyncio.to_thread(postgres.start)
            await load
        finally:
            load.cancel()
        stage.say(f"{PART}: the database is back")
        back = clock()
        await asyncio.to_thread(
            edge.until,
            lambda: shown.total() >= len(ids),
            "has shown the backlog",
            _DRAIN_SECONDS,
        )
        drained = clock() - back
        assert shown == Counter(ids), "each post comes once"
        after = [resident_bytes(serving(port)) for port in ports]
        of_worker, of_edge = (
            Peaks(calm=calm[port], fifth=first[port], whole=max(first[port], rest[port]), after=now)
            for port, now in zip(ports, after, strict=True)
        )
        return Outage(of_worker, of_edge, drained, len(ids))


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Tell what was seen in figures."""
    seen = await observe(stage, size)
    figures = [
        Figure(PART, f"{name}: {when}", "MiB", [value / _MIB])
        for name, peaks in (("worker", seen.worker), ("edge", seen.edge))
        for when, value in (
            ("peak before the outage", peaks.calm),
            ("peak of its first fifth", peaks.fifth),
            ("peak of all of it", peaks.whole),
            ("after the backlog", peaks.after),
        )
    ]
    return [
        *figures,
        Figure(PART, "worker: all of it over its first fifth", "ratio", [seen.worker.growth], _GOAL),
        Figure(PART, "edge: all of it over its first fifth", "ratio", [seen.edge.growth], _GOAL),
        Figure(PART, "from the database's return to the last post", "s", [seen.drained], note=f"{seen.posts:,} posts"),
    ]


_GOAL: Final = Goal("at most", ALLOWED_GROWTH)


async def _announce(announce: Callable[[Sequence[int]], Awaitable[None]], ids: Sequence[int], rate: int) -> None:
    """Announce ids at a steady rate."""
    step = max(1, round(rate * _STEP_SECONDS))
    clock = asyncio.get_running_loop().time
    begun = clock()
    for first in range(0, len(ids), step):
        await asyncio.sleep(begun + first / rate - clock())
        await announce(ids[first : first + step])


async def _peaks(ports: Sequence[int], seconds: float) -> dict[int, int]:
    """Watch the processes that listen there for that long; return the most memory that was seen of each."""
    processes = {port: serving(port) for port in ports}
    peaks = dict.fromkeys(ports, 0)
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while clock() < end:
        for port, process in processes.items():
            peaks[port] = max(peaks[port], resident_bytes(process))
        await asyncio.sleep(_LOOK_SECONDS)
    return peaks
