"""Slow clients: a tenth of them stop reading for a minute. What the others notice, and what it costs the edge.

Each run has two halves with the same windows at the same pace: one in which everybody reads, and one in which the
slow ones do not. They check what they get: afterwards they catch up, in order and without a gap.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import psutil

from integration.bench.companion import Companion, companion
from integration.bench.crowd import Crowd, crowd
from integration.bench.feed import Feed, Show, sizes_of
from integration.bench.figures import Figure, Goal, percentile
from integration.bench.stage import Stage
from integration.bench.usage import resident_bytes, serving, unsent_bytes
from integration.system import Process

PART: Final = "slow"
_KIB: Final = 1024
_BUFFER_BYTES: Final = 16 * _KIB
"""A slow client's receive buffer: it should be slow after a second, not after half a minute."""
_WRITE_BYTES: Final = 64 * _KIB
"""The edge's default."""
_RELATIVE_GOAL: Final = 0.1
_ABSOLUTE_GOAL_SECONDS: Final = 0.005


@dataclass(frozen=True)
class Size:
    """How much is measured: ``runs`` of two halves of so many seconds, a window each ``pace`` seconds.

    A worker's windows close far less often.
    """

    clients: int = 5_000
    slow: int = 500
    seconds: float = 60
    pace: float = 0.25
    runs: int = 5


@dataclass(frozen=True)
class _Run:
    calm: float
    disturbed: float
    resident: float
    kernel: float
    caught_up: float


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Let the slow clients read and not read in turn."""
    async with AsyncExitStack() as entered:
        enter = entered.enter_async_context
        system, edge = await enter(stage.installation())
        feed = Feed(await enter(stage.producer()), system.feed)
        others = await enter(crowd(edge.port, size.clients - size.slow))
        slow = await enter(companion("integration.bench.followers"))
        await slow.answer()
        await slow.ask(connect=size.slow, port=edge.port, buffer=_BUFFER_BYTES)
        trial = _Trial(edge, feed, others, slow, size)
        runs = []
        for number in range(1, size.runs + 1):
            stage.say(
                f"{PART}: {size.slow:,} of {size.clients:,} do not read for {size.seconds} s, {number} of {size.runs}"
            )
            runs.append(await trial.run())
        return _figures(size, runs, f"clients {others.take_saturation():.0%} busy")


def _figures(size: Size, runs: Sequence[_Run], note: str) -> list[Figure]:
    name = f"{size.slow:,} of {size.clients:,} stuck for {size.seconds:g} s"
    calm = [run.calm for run in runs]
    allowed = max(_RELATIVE_GOAL * sorted(calm)[len(calm) // 2], _ABSOLUTE_GOAL_SECONDS)
    moves = [run.disturbed - run.calm for run in runs]
    return [
        Figure(PART, f"{size.clients:,} clients, all read: p99 to the last byte", "s", calm, note=note),
        Figure(PART, f"{name}: the others' p99", "s", [run.disturbed for run in runs]),
        Figure(PART, f"{name}: the others' p99 moves by", "s", moves, Goal("at most", allowed)),
        Figure(
            PART,
            f"{name}: the edge's memory beside the log grows by",
            "KiB a slow client",
            [run.resident / size.slow / _KIB for run in runs],
            Goal("at most", _WRITE_BYTES / _KIB),
        ),
        Figure(
            PART,
            f"{name}: the edge's unsent bytes in the kernel",
            "KiB a slow client",
            [run.kernel / size.slow / _KIB for run in runs],
        ),
        Figure(PART, f"{name}: until all have caught up, in order", "s", [run.caught_up for run in runs]),
    ]


class _Trial:
    def __init__(self, edge: Process, feed: Feed, others: Crowd, slow: Companion, size: Size) -> None:
        self._edge = edge
        self._process: psutil.Process = serving(edge.port)
        self._feed = feed
        self._show = Show(feed, others)
        self._slow = slow
        self._size = size
        self._windows = sizes_of(max(1, round(size.seconds / size.pace)))

    async def run(self) -> _Run:
        self._slow.tell(until=self._feed.posts + sum(self._windows))
        calm = await self._p99()
        await self._slow.answer()
        resident, kernel = await self._beside_the_log(), unsent_bytes(self._edge.port)
        # Over new connections: for one that has been fast the kernel would buffer a megabyte or more, at the edge's
        # end, before anybody is slow.
        await self._slow.ask(leave=True)
        await self._slow.ask(**{"return": self._edge.port})
        disturbed = await self._p99()
        lagging = await asyncio.to_thread(self._edge.metric, "postcast_edge_lagging")
        assert lagging == self._size.slow, f"{lagging:.0f} clients lag instead of {self._size.slow}"
        resident, kernel = await self._beside_the_log() - resident, unsent_bytes(self._edge.port) - kernel
        clock = asyncio.get_running_loop().time
        begin = clock()
        await self._slow.ask(until=self._feed.posts)
        return _Run(calm, disturbed, resident, kernel, clock() - begin)

    async def _p99(self) -> float:
        """Send the windows at their pace; return the 99th percentile of what the others wait for a window."""
        clock = asyncio.get_running_loop().time
        begin = clock()
        delays = []
        for number, posts in enumerate(self._windows):
            await asyncio.sleep(begin + number * self._size.pace - clock())
            delays.append(await self._show.window(posts))
        return percentile(delays, 0.99)

    async def _beside_the_log(self) -> float:
        log = await asyncio.to_thread(self._edge.metric, "postcast_edge_log_bytes")
        return resident_bytes(self._process) - log
