"""A topic in memory keeps the contract of one on Kafka, and does what can happen to that."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from edge.feed.start import Bounds
from edge.feed.topic import Topic, Unreachable
from edge.mock.topic import MemoryTopic
from streams.contract import Millis, Offset
from tests.edge.kit.topics import AS_KAFKA, CONTRACT, Stage, numbered, read


class MemoryStage:
    """A topic in memory; its records are a millisecond apart."""

    def __init__(self) -> None:
        self.topic = MemoryTopic()

    def connect(self) -> AbstractAsyncContextManager[Topic]:
        """Connect to it."""
        return self.topic.connect()

    async def write(self, *values: bytes) -> None:
        """Write records."""
        for value in values:
            self.topic.write(value, Millis(self.topic.end))

    async def remove_before(self, offset: int) -> None:
        """Remove records."""
        self.topic.remove_before(offset)


@pytest.mark.parametrize("claim", [*CONTRACT, *AS_KAFKA])
async def test_keeps_the_contract(claim: Callable[[Stage], Awaitable[None]]) -> None:
    await claim(MemoryStage())


async def test_a_read_that_waits_ends_when_something_comes() -> None:
    stage = MemoryStage()
    async with stage.connect() as topic:
        await topic.seek(Offset(0))
        reading = asyncio.create_task(topic.read())
        await asyncio.sleep(0)
        await stage.write(b"a")
        assert numbered((await reading).records) == [(0, b"a")]


async def test_a_skipped_offset_has_no_record_and_takes_its_place() -> None:
    stage = MemoryStage()
    await stage.write(b"a")
    stage.topic.skip()
    await stage.write(b"b")
    async with stage.connect() as topic:
        assert await topic.bounds() == Bounds(Offset(0), Offset(3))
        await topic.seek(Offset(0))
        found = await topic.read()
        assert (numbered(found.records), found.next_offset) == ([(0, b"a"), (2, b"b")], 3)


async def test_only_the_newest_stay_where_it_is_told_so() -> None:
    topic = MemoryTopic(keep=2)
    for value in (b"a", b"b", b"c"):
        topic.write(value, Millis(0))
    assert (topic.begin, topic.end) == (1, 3)
    assert numbered(topic.between(0, 3)) == [(1, b"b"), (2, b"c")]


async def test_while_it_is_stalled_reads_bring_nothing_and_questions_are_answered() -> None:
    stage = MemoryStage()
    await stage.write(b"a")
    stage.topic.is_stalled = True
    async with stage.connect() as topic:
        await topic.seek(Offset(0))
        found = await topic.read()
        assert (list(found.records), found.next_offset, found.end) == ([], 0, 1)
        assert await topic.end() == 1
        stage.topic.is_stalled = False
        assert numbered(await read(topic, 1)) == [(0, b"a")]


async def test_while_it_is_away_nothing_answers() -> None:
    stage = MemoryStage()
    async with stage.connect() as topic:
        await topic.seek(Offset(0))
        reading = asyncio.create_task(topic.read())
        await asyncio.sleep(0)
        stage.topic.is_away = True
        stage.topic.changed()
        for question in (reading, topic.partitions(), topic.bounds(), topic.end(), topic.confirmed_end()):
            with pytest.raises(Unreachable):
                await question
        with pytest.raises(Unreachable):
            await topic.seek(Offset(0))
    with pytest.raises(Unreachable):
        async with stage.connect():
            pass


async def test_made_anew_it_is_another_one() -> None:
    """Who was reading the old one is told, however many records there are; and the next time it reads on."""
    stage = MemoryStage()
    await stage.write(b"a", b"b")
    async with stage.connect() as topic:
        await topic.seek(Offset(2))
        stage.topic.recreate()
        await stage.write(b"c", b"d", b"e")
        with pytest.raises(Unreachable):
            await topic.read()
        assert await topic.bounds() == Bounds(Offset(0), Offset(3))
        await topic.seek(Offset(2))
        assert numbered(await read(topic, 1)) == [(2, b"e")]


async def test_nothing_can_be_read_before_it_is_said_from_where() -> None:
    async with MemoryStage().connect() as topic:
        with pytest.raises(Unreachable):
            await topic.read()
