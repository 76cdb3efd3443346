"""A topic of one partition in memory, which keeps the contract of the one on Kafka (:mod:`edge.feed.topic`).

It is written to by its own process, and can do by itself what happens to a topic: its oldest records are removed,
offsets are skipped, reads bring nothing, nothing answers at all, it is made anew.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from edge.feed.start import Bounds
from edge.feed.topic import Raw, Read, Unreachable
from streams.contract import Millis, Offset

# As a consumer of Kafka reads: so many records at a time, and after so long it says that there are none.
_AT_ONCE: Final = 8
_WAIT_SECONDS: Final = 0.5


class MemoryTopic:
    """Records from offset ``begin`` on, of which the newest ``keep`` stay; a read brings ``at_once`` at most."""

    def __init__(self, *, begin: int = 0, keep: int | None = None, at_once: int = _AT_ONCE) -> None:
        self.begin = self.end = begin
        """The offsets of the oldest record and of the next one."""
        self.at_once = at_once
        self.count = 1
        """How many partitions it has; 0 when it does not exist."""
        self.is_away = False
        """Whether nothing of it answers."""
        self.is_stalled = False
        """Whether reads bring nothing."""
        self.incarnation = 0
        """How often it was made anew."""
        self._keep = keep
        self._records: dict[int, Raw] = {}
        self._changed = asyncio.Event()

    def write(self, value: bytes, timestamp: Millis) -> Offset:
        """Append a record; return its offset."""
        offset = Offset(self.end)
        self._records[offset] = Raw(offset, value, timestamp)
        self.skip()
        return offset

    def skip(self, offsets: int = 1) -> None:
        """Go on behind so many offsets that no record has, but for one that was just written."""
        self.end += offsets
        if self._keep is not None:
            self.remove_before(max(self.begin, self.end - self._keep))
        self.changed()

    def remove_before(self, offset: int) -> None:
        """Begin at ``offset``, as retention does it."""
        for each in range(self.begin, offset):
            self._records.pop(each, None)
        self.begin = offset
        self.changed()

    def recreate(self, begin: int = 0) -> None:
        """Become another topic, without a record: connections that were reading cannot go on as if it were the same."""
        self.incarnation += 1
        self._records.clear()
        self.begin = self.end = begin
        self.changed()

    def changed(self) -> None:
        """Have reads that wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Wait until something has changed, so many seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def between(self, begin: int, end: int) -> list[Raw]:
        """Return the records of these offsets."""
        return [self._records[each] for each in range(begin, end) if each in self._records]

    def check(self) -> None:
        """Raise :class:`Unreachable` when nothing of it answers."""
        if self.is_away:
            raise Unreachable("away")

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["MemoryReader"]:
        """Connect to it."""
        self.check()
        yield MemoryReader(self)


class MemoryReader:
    """A connection to a topic in memory, with a place of its own."""

    def __init__(self, topic: MemoryTopic) -> None:
        self._topic = topic
        self.next_offset = Offset(-1)
        """Where the next read begins; out of range until that is said."""
        self._incarnation = topic.incarnation

    async def partitions(self) -> int:
        """Say how many partitions there are; 0 when the topic does not exist."""
        self._topic.check()
        return self._topic.count

    async def bounds(self) -> Bounds:
        """Say which records there are."""
        self._topic.check()
        return Bounds(Offset(self._topic.begin), Offset(self._topic.end))

    async def end(self) -> Offset:
        """Say which offset the next record will get."""
        return (await self.bounds()).end

    async def confirmed_end(self) -> Offset:
        """Say the same: there is no other broker."""
        return await self.end()

    async def seek(self, offset: Offset) -> None:
        """Read on from ``offset``."""
        self._topic.check()
        self.next_offset, self._incarnation = offset, self._topic.incarnation

    async def read(self) -> Read:
        """Return a few records, or none when there was none for a while."""
        topic = self._topic
        if self._is_at_end():
            await topic.wait(_WAIT_SECONDS)
        if self._is_at_end():
            return Read([], self.next_offset, Offset(topic.end), topic.count)
        begin, self.next_offset = self.next_offset, Offset(min(self.next_offset + topic.at_once, topic.end))
        return Read(topic.between(begin, self.next_offset), self.next_offset, Offset(topic.end), topic.count)

    def _is_at_end(self) -> bool:
        """Tell whether there is nothing to read now; raise :class:`Unreachable` where nothing can be read."""
        topic = self._topic
        topic.check()
        if topic.is_stalled:
            return True
        if topic.incarnation != self._incarnation or not topic.begin <= self.next_offset <= topic.end:
            raise Unreachable("there is no such offset")
        return self.next_offset == topic.end
