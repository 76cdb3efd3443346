"""A worker dies, or leaves: for how long the posts of its partitions wait until the other one shows them.

Two workers share the partitions, and posts are announced at a steady rate, so that some are always on their way in each
partition. A post waits for its window anyway; what it waits longer than a window is the stall.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from integration.bench.figures import Figure, Goal
from integration.bench.posts import inserted
from integration.bench.stage import Stage
from integration.bench.watcher import watching
from integration.system import Process, System

PART: Final = "rebalance"
_RATE: Final = 50
"""Posts a second: with eight partitions one in each of them every 160 ms."""
_WINDOW_SECONDS: Final = 1
_STEP_SECONDS: Final = 0.1
_CALM_SECONDS: Final = 6.0
_STORM_SECONDS: Final = 14.0
"""Longer than the longest stall that is allowed, so that it shows whole."""
_DIES_SECONDS: Final = 10.0
_LEAVES_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    repetitions: int = 3
    calm_seconds: float = _CALM_SECONDS
    storm_seconds: float = _STORM_SECONDS


@dataclass
class _Times:
    """When each post was announced, and when it was shown."""

    announced: dict[int, float] = field(default_factory=dict)
    shown: dict[int, float] = field(default_factory=dict)

    def longest(self, begin: float, end: float) -> float:
        """Return the longest way of a post that was announced in that time."""
        return max(self.shown[post] - at for post, at in self.announced.items() if begin <= at < end)


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Take one of two workers away, in both ways."""
    stalls: dict[str, list[float]] = {"dies": [], "leaves": []}
    for number in range(1, size.repetitions + 1):
        for way, values in stalls.items():
            stage.say(f"{PART}: one of two workers {way}, {number} of {size.repetitions}")
            values.append(await _stall(stage, size, way))
    return [
        Figure(PART, "posts wait when a worker dies", "s", stalls["dies"], Goal("at most", _DIES_SECONDS)),
        Figure(PART, "posts wait when a worker leaves", "s", stalls["leaves"], Goal("at most", _LEAVES_SECONDS)),
    ]


async def _stall(stage: Stage, size: Size, way: str) -> float:
    times, clock = _Times(), asyncio.get_running_loop().time
    posts = round(_RATE * (size.calm_seconds + size.storm_seconds)) + _RATE
    async with (
        inserted(stage.database_url, posts) as ids,
        stage.installation(WINDOW_SECONDS=_WINDOW_SECONDS) as (system, edge),
        watching(edge, lambda post: times.shown.setdefault(post, clock())),
        stage.announcing(system.queue) as announce,
    ):
        staying, leaving = await _two_workers(system)
        left = list(ids)

        async def go_on(seconds: float) -> tuple[float, float]:
            begun = clock()
            while clock() < begun + seconds and left:
                some = [left.pop() for _ in range(min(len(left), round(_RATE * _STEP_SECONDS)))]
                await announce(some)
                times.announced.update(dict.fromkeys(some, clock()))
                await asyncio.sleep(_STEP_SECONDS)
            return begun, clock()

        # The second worker's own coming is a rebalance, too: it is to be over.
        await go_on(size.calm_seconds)
        ending = asyncio.create_task(asyncio.to_thread(leaving.kill if way == "dies" else leaving.terminate))
        storm = await go_on(size.storm_seconds)
        await ending
        await asyncio.to_thread(staying.until, lambda: times.announced.keys() <= times.shown.keys(), "has shown all")
        begin, end = storm
        # What was on its way when the worker went waits the longest.
        return max(0.0, times.longest(begin - _WINDOW_SECONDS, end) - _WINDOW_SECONDS)


async def _two_workers(system: System) -> Sequence[Process]:
    workers = [system.worker(), system.worker()]
    for worker in workers:
        await asyncio.to_thread(worker.until_ready)
    for worker in workers:
        await asyncio.to_thread(worker.until, partial(_has_partitions, worker), "has partitions")
    return workers


def _has_partitions(worker: Process) -> bool:
    assigned = worker.events("partitions.assigned")
    return bool(assigned and assigned[-1]["partitions"])
