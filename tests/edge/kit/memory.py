"""The mock's topic in memory, made another one at once, and with what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from edge.feed.topic import Read, Unreachable
from edge.mock.topic import MemoryReader, MemoryTopic
from streams.contract import Millis, Offset


class AskedTopic(MemoryTopic):
    """A topic whose records stand in a list from ``begin`` on, so many milliseconds ``apart``.

    None among the records takes an offset and is no record, as the marker of a transaction or what was compacted. A
    read brings ``at_once`` records at most.
    """

    def __init__(self, *values: bytes | None, begin: int = 0, count: int = 1, at_once: int = 1, apart: int = 0) -> None:
        super().__init__(begin=begin, at_once=at_once)
        self.count = count
        self.apart = apart
        self.questions = self.confirmations = self.connections = 0
        self.unseen: int | None = 0
        """How many records the broker that is asked does not know of; None when no majority is agreed on that."""
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.grow(*values)

    @property
    def values(self) -> list[bytes | None]:
        """What it has at each offset."""
        records = {raw.offset: raw.value for raw in self.between(self.begin, self.end)}
        return [records.get(Offset(offset)) for offset in range(self.begin, self.end)]

    def become(self, *values: bytes | None, begin: int = 0) -> None:
        """Have these records and no others: more of the same, fewer of it after retention, or another topic's."""
        old = self.values[max(0, begin - self.begin) :]
        if self.begin <= begin <= self.end and list(values[: len(old)]) == old:
            self.remove_before(begin)
            values = values[len(old) :]
        else:
            self.recreate(begin)
        self.grow(*values)
        self.changed()

    def grow(self, *values: bytes | None) -> None:
        """Have these records more."""
        for value in values:
            if value is None:
                self.skip()
            else:
                self.write(value, Millis(self.end * self.apart))

    async def change(self, *values: bytes | None, begin: int = 0, is_away: bool = False) -> None:
        """Become another one, which may be away."""
        self.become(*values, begin=begin)
        self.is_away = is_away

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["AskedReader"]:
        """Connect to it."""
        self.connections += 1
        async with super().connect():
            yield self.reader()

    def reader(self) -> "AskedReader":
        """Make what a connection is."""
        return AskedReader(self)


class AskedReader(MemoryReader):
    """A connection that counts its questions, and answers when it may."""

    def __init__(self, topic: AskedTopic) -> None:
        super().__init__(topic)
        self.asked = topic

    async def end(self) -> Offset:
        """Answer when it may."""
        self.asked.questions += 1
        end = (await self.bounds()).end
        await self.asked.may_answer.wait()
        return end

    async def confirmed_end(self) -> Offset:
        """Answer when the brokers agree."""
        self.asked.confirmations += 1
        if self.asked.unseen is None:
            raise Unreachable("no majority")
        return Offset((await self.bounds()).end + self.asked.unseen)

    async def read(self) -> Read:
        """Read on, and let the loop turn."""
        await asyncio.sleep(0)
        return await super().read()
