"""One window: from its end to the last client's last byte.

The ids are put into ``posts.created`` at the window's beginning, so that all of them have been read when it ends.
What is measured is the closing, the query, the encoding, Kafka, and the fan-out.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from integration import topics
from integration.bench.crowd import Crowd, crowd
from integration.bench.figures import Figure, Goal
from integration.bench.posts import FRAME_BYTES, inserted
from integration.bench.stage import Stage
from integration.system import Process, System
from integration.topics import Placed

PART: Final = "window"
_GOALS: Final = {(10_000, 1): Goal("at most", 0.4)}
"""By posts and clients."""
_PARTITIONS: Final = 8


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    window_seconds: int = 5
    clients: Sequence[int] = (1, 1_000)
    posts: Sequence[int] = (1_000, 10_000)
    repetitions: int = 3


class CutWindow(Exception):
    """The posts did not all get into one window, so this is not what was to be measured."""


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Let windows of each size pass, with each number of clients."""
    figures: list[Figure] = []
    async with stage.installation(WINDOW_SECONDS=size.window_seconds, CREATED_PARTITIONS=_PARTITIONS) as (system, edge):
        worker = system.worker()
        await asyncio.to_thread(worker.until_ready)
        for clients in size.clients:
            async with crowd(edge.port, clients) as connected:
                window = _Window(stage, system, worker, connected, size.window_seconds)
                for posts in size.posts:
                    stage.say(f"{PART}: {posts:,} posts for {clients:,} clients, {size.repetitions} times")
                    delays = [await window.delay(posts) for _ in range(size.repetitions)]
                    note = f"clients {connected.take_saturation():.0%} busy"
                    name = f"{posts:,} posts, {clients:,} client{'s' if clients > 1 else ''}"
                    goal = _GOALS.get((posts, clients))
                    figures.append(Figure(PART, name, "s", delays, goal=goal, note=note))
    return figures


class _Window:
    def __init__(self, stage: Stage, system: System, worker: Process, connected: Crowd, seconds: int) -> None:
        self._stage = stage
        self._system = system
        self._worker = worker
        self._connected = connected
        self._seconds = seconds
        self._posts = 0

    async def delay(self, count: int) -> float:
        """Return the seconds from the end of a window with that many posts to the last byte."""
        async with inserted(self._stage.database_url, count) as ids:
            before = await self._windows()
            self._posts += count
            self._connected.expect(self._posts * FRAME_BYTES)
            end = await self._fill(ids)
            last = await self._connected.satisfied()
            # The worker counts a window when it has released it, shortly after the clients have its posts.
            await asyncio.to_thread(self._worker.until, lambda: self._count() > before, "has counted the window")
            if await self._windows() != before + 1:
                raise CutWindow(f"{count} posts came in {await self._windows() - before:.0f} windows")
            return last - end

    async def _fill(self, ids: Sequence[int]) -> float:
        """Put the ids into the window that begins next; return when it ends."""
        begin = math.ceil(time.time() / self._seconds) * self._seconds
        await asyncio.sleep(begin - time.time())
        now = round(time.time() * 1000) + 1
        await topics.place(
            self._stage.kafka_url,
            self._system.created,
            [Placed(number % _PARTITIONS, now, id_) for number, id_ in enumerate(ids)],
        )
        end = begin + self._seconds
        if time.time() > end:
            raise CutWindow(f"it took longer than a window to write {len(ids)} ids")
        return float(end)

    async def _windows(self) -> float:
        return await asyncio.to_thread(self._count)

    def _count(self) -> float:
        return self._worker.metric("postcast_batches_total")
