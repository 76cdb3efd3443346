"""A double of the worker's consumer group: logs in memory, what is committed of them, a consumer that can be sought.

Each call can fail (``failures``, by the method's name) and be held (``gates``); partitions can be without a leader.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from streams.contract import Offset, Partition
from streams.positions import Passed
from tests.streams.doubles import Gate


class MemoryGroup:
    """A group with one member. ``logs`` are (timestamp in seconds, value) by offset; what is gone left a hole."""

    def __init__(self, partitions: int = 2) -> None:
        self.generation = 1
        self.partitions = [Partition(number) for number in range(partitions)]
        self.logs: dict[Partition, dict[int, tuple[float, bytes]]] = {p: {} for p in self.partitions}
        self.first = dict.fromkeys(self.partitions, Offset(0))
        self.end = dict.fromkeys(self.partitions, Offset(0))
        self.commits: dict[Partition, Offset] = {}
        self.leaders_gone: set[Partition] = set()
        self.paused: frozenset[Partition] = frozenset()
        self.refused = False
        self.failures: dict[str, deque[Exception]] = defaultdict(deque)
        self.gates: dict[str, Gate] = defaultdict(Gate)
        self.seeks: list[tuple[Partition, Offset]] = []
        # What the consumer believes the ends to be, where that is not how they are.
        self.stale: dict[Partition, Offset] = {}
        self._positions: dict[Partition, int] = {}
        self._passed: dict[Partition, Passed] = {}

    # -- the log -----------------------------------------------------------------------------------

    def write(self, partition: Partition, timestamp: float, value: bytes) -> Offset:
        offset = self.end[partition]
        self.logs[partition][offset] = (timestamp, value)
        self.end[partition] = Offset(offset + 1)
        return offset

    def expire(self, partition: Partition, first: int) -> None:
        """Let retention take everything before an offset."""
        self.first[partition] = Offset(first)
        self.end[partition] = max(self.end[partition], Offset(first))

    def fetch(self, partition: Partition, count: int = 500) -> Iterator[Any]:
        """Hand over the next records of a partition, as Faust's events."""
        if partition in self.paused or partition in self.leaders_gone or partition not in self._positions:
            return
        passed = self._passed.get(partition)
        first, end = (passed.first, passed.end) if passed else (None, None)
        position = max(self._positions[partition], self.first[partition])
        while position < self.end[partition] and count:
            if record := self.logs[partition].get(position):
                yield self.event(partition, position, *record)
                first, end, count = Offset(position) if first is None else first, Offset(position + 1), count - 1
            position += 1
        self._positions[partition] = position
        self._passed[partition] = Passed(first, end, Offset(position))

    def event(self, partition: Partition, offset: int, timestamp: float, value: bytes | None) -> Any:
        message = SimpleNamespace(
            partition=partition, offset=offset, value=value, timestamp=timestamp, generation_id=self.generation
        )
        return SimpleNamespace(message=message)

    # -- the group ---------------------------------------------------------------------------------

    async def _call(self, name: str) -> None:
        await self.gates[name].passed()
        if self.failures[name]:
            raise self.failures[name].popleft()

    def highwater(self, partition: Partition) -> Offset | None:
        return self.stale.get(partition, self.end[partition]) if partition in self._positions else None

    def passed(self, partition: Partition) -> Passed | None:
        return self._passed.get(partition)

    def leaderless(self, partitions: Collection[Partition]) -> frozenset[Partition]:
        return frozenset(partitions) & self.leaders_gone

    def pause(self, partitions: Collection[Partition]) -> None:
        self.paused = frozenset(partitions)

    async def begin(self) -> dict[Partition, Offset]:
        await self._call("begin")
        places = {p: max(self.commits.get(p, Offset(0)), self.first[p]) for p in self.partitions}
        self._positions = dict(places)
        self._passed.clear()
        return places

    async def seek(self, partition: Partition, offset: Offset) -> None:
        await self._call("seek")
        self.seeks.append((partition, offset))
        self._positions[partition] = offset
        self._passed.pop(partition, None)

    async def begin_anew(self, partition: Partition) -> None:
        self.commits[partition] = self.first[partition]

    async def earliest(self, partitions: Collection[Partition]) -> dict[Partition, Offset]:
        await self._call("earliest")
        return {p: self.first[p] for p in partitions if p not in self.leaders_gone}

    async def ends(self, partitions: Collection[Partition]) -> dict[Partition, Offset]:
        await self._call("ends")
        return {p: self.end[p] for p in partitions if p not in self.leaders_gone}

    async def commit(self, offsets: Mapping[Partition, Offset]) -> None:
        await self._call("commit")
        self.commits.update(offsets)


class MemoryStream:
    """Faust's stream, as far as the flow goes."""

    def __init__(self, events: "asyncio.Queue[Any]") -> None:
        self._events = events

    def noack(self) -> "MemoryStream":
        return self

    async def events(self) -> Any:
        while True:
            yield await self._events.get()
