"""What every topic of the feed keeps: the same tests for one in memory and for one on Kafka."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import pytest

from edge.feed.start import Bounds
from edge.feed.topic import Raw, Topic, Unreachable
from streams.contract import Offset


class Stage(Protocol):
    """A topic with one partition and nothing in it, and what can be done to it."""

    def connect(self) -> AbstractAsyncContextManager[Topic]:
        """Connect to it."""
        ...

    async def write(self, *values: bytes) -> None:
        """Write records, each in a batch of its own."""
        ...

    async def remove_before(self, offset: int) -> None:
        """Remove records, as retention does."""
        ...


async def read(topic: Topic, count: int) -> list[Raw]:
    """Read on until so many records have come."""
    records: list[Raw] = []
    while len(records) < count:
        begin = records[-1].offset + 1 if records else None
        found = await topic.read()
        records += found.records
        assert found.partitions == 1
        if found.records:
            assert begin in {None, found.records[0].offset}
            assert found.next_offset == found.records[-1].offset + 1
        assert found.end >= found.next_offset
    return records


def numbered(records: Sequence[Raw]) -> list[tuple[int, bytes]]:
    """Return what was read without its times."""
    return [(record.offset, record.value) for record in records]


async def says_what_there_is(stage: Stage) -> None:
    """Nothing at first, then what was written; of all ways to ask for the end."""
    async with stage.connect() as topic:
        assert await topic.partitions() == 1
        assert await topic.bounds() == Bounds(Offset(0), Offset(0))
        await stage.write(b"a", b"b")
        assert await topic.bounds() == Bounds(Offset(0), Offset(2))
        assert await topic.end() == await topic.confirmed_end() == 2


async def brings_records_in_order_from_where_it_is_told(stage: Stage) -> None:
    """Each once, however many; and from there again when it is told so."""
    values = [b"%d" % number for number in range(30)]
    await stage.write(*values)
    async with stage.connect() as topic:
        for begin in (0, 7, 29):
            await topic.seek(Offset(begin))
            records = await read(topic, 30 - begin)
            assert numbered(records) == list(enumerate(values))[begin:]
            assert [record.timestamp for record in records] == sorted(record.timestamp for record in records)


async def brings_nothing_after_a_while_and_then_what_comes(stage: Stage) -> None:
    """Come back from a read at the end, and go on there with the next one."""
    await stage.write(b"a")
    async with stage.connect() as topic:
        await topic.seek(Offset(1))
        found = await topic.read()
        assert (list(found.records), found.next_offset, found.end) == ([], 1, 1)
        await stage.write(b"b")
        assert numbered(await read(topic, 1)) == [(1, b"b")]


async def has_a_place_for_each_connection(stage: Stage) -> None:
    """Who reads elsewhere changes nothing."""
    await stage.write(b"a", b"b", b"c")
    async with stage.connect() as one, stage.connect() as other:
        await one.seek(Offset(0))
        await other.seek(Offset(2))
        assert numbered(await read(other, 1)) == [(2, b"c")]
        assert numbered(await read(one, 3)) == [(0, b"a"), (1, b"b"), (2, b"c")]


async def says_when_it_cannot_read_there(stage: Stage) -> None:
    """Beyond the end."""
    await stage.write(b"a")
    async with stage.connect() as topic:
        await topic.seek(Offset(5))
        with pytest.raises(Unreachable):
            await read(topic, 1)


async def begins_where_retention_has_cut(stage: Stage) -> None:
    """Say so in the bounds, and bring nothing of what was removed."""
    await stage.write(b"a", b"b", b"c", b"d")
    async with stage.connect() as topic:
        await stage.remove_before(2)
        assert await topic.bounds() == Bounds(Offset(2), Offset(4))
        await topic.seek(Offset(2))
        assert numbered(await read(topic, 2)) == [(2, b"c"), (3, b"d")]
        await topic.seek(Offset(1))
        with pytest.raises(Unreachable):
            await read(topic, 1)


CONTRACT: Final[Sequence[Callable[[Stage], Awaitable[None]]]] = (
    says_what_there_is,
    brings_records_in_order_from_where_it_is_told,
    brings_nothing_after_a_while_and_then_what_comes,
    has_a_place_for_each_connection,
)
AS_KAFKA: Final[Sequence[Callable[[Stage], Awaitable[None]]]] = (
    says_when_it_cannot_read_there,
    begins_where_retention_has_cut,
)
"""What Tansu does not keep: it answers beyond the end, and removes nothing."""
