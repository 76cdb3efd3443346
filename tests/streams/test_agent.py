"""The flow of records through a worker, with Faust, Kafka and PostgreSQL taken away."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError
from prometheus_client import CollectorRegistry

from streams import agent
from streams.agent import Flow, LostPlace
from streams.contract import Created, Offset, Partition, encode_created
from streams.group import Group
from streams.settings import Settings
from streams.telemetry import Health, Metrics
from streams.windows import Batch
from tests.streams.doubles import MemoryPublisher

P0, P1 = Partition(0), Partition(1)


class MemoryGroup:
    """A consumer group in memory: two partitions, and where each begins and ends."""

    def __init__(self) -> None:
        self.generation = 1
        self.first = {P0: Offset(0), P1: Offset(0)}
        self.end = {P0: Offset(0), P1: Offset(0)}
        self.commits: dict[Partition, Offset] = {}
        self.stale: Offset | None = None
        self.away = False
        self.questions = 0

    def highwater(self, partition: Partition) -> Offset | None:
        self.questions += 1
        return self.end[partition] if self.stale is None else self.stale

    async def begin_anew(self, partition: Partition) -> None:
        self.commits[partition] = self.first[partition]

    async def begin(self) -> dict[Partition, Offset]:
        return {p: max(self.commits.get(p, Offset(0)), first) for p, first in self.first.items()}

    async def earliest(self, partitions: Collection[Partition]) -> dict[Partition, Offset]:
        return {p: self.first[p] for p in partitions}

    async def ends(self, partitions: Collection[Partition]) -> dict[Partition, Offset]:
        if self.away:
            raise KafkaConnectionError
        return {p: self.end[p] for p in partitions}

    async def commit(self, offsets: Mapping[Partition, Offset]) -> None:
        self.commits.update(offsets)

    async def committed(self, partition: Partition) -> Offset:
        return self.commits.get(partition, Offset(0))


class GatedCompletion:
    """Completes batches while its gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.posts: list[int] = []
        self.publisher = MemoryPublisher()

    async def complete(self, batch: Batch) -> None:
        await self.gate.wait()
        self.posts += [int(record.post) for record in batch.records]

    async def set_aside(self, letters: Any) -> None:
        await self.publisher.publish("posts.dead", [(None, letter.body) for letter in letters])


@dataclass
class Bench:
    """A running flow, and the hands to feed it."""

    flow: Flow
    group: MemoryGroup
    completion: GatedCompletion
    health: Health
    events: "asyncio.Queue[Any]"

    def write(self, partition: Partition, *posts: int, generation: int = 1, offset: int | None = None) -> None:
        """Write records to the log, and deliver them as Faust does."""
        for post in posts:
            at = self.group.end[partition] if offset is None else Offset(offset)
            self.group.end[partition] = max(self.group.end[partition], Offset(at + 1))
            self.deliver(partition, at, encode_created(Created(post)), generation)

    def deliver(self, partition: Partition, offset: int, value: bytes | None, generation: int = 1) -> None:
        message = SimpleNamespace(
            partition=partition, offset=offset, value=value, timestamp=1.0, generation_id=generation
        )
        self.events.put_nowait(SimpleNamespace(message=message))

    async def until_completed(self, *posts: int) -> None:
        async with asyncio.timeout(5):
            while sorted(self.completion.posts) != sorted(posts):
                await asyncio.sleep(0.01)

    async def until_committed(self, partition: Partition, offset: int) -> None:
        async with asyncio.timeout(5):
            while self.group.commits.get(partition) != offset:
                await asyncio.sleep(0.01)


class MemoryStream:
    """Faust's stream, as far as the flow goes."""

    def __init__(self, events: "asyncio.Queue[Any]") -> None:
        self._events = events

    def noack(self) -> "MemoryStream":
        return self

    async def events(self) -> AsyncIterator[Any]:
        while True:
            yield await self._events.get()


@asynccontextmanager
async def running(max_held: int = 1000) -> AsyncIterator[Bench]:
    settings = Settings.model_validate(
        {
            "amqp_url": "amqp://broker",
            "database_url": "postgres://database",
            "kafka_url": "kafka://broker",
            "window_seconds": 0.1,
            "max_held": max_held,
        }
    )
    group, completion, health = MemoryGroup(), GatedCompletion(), Health("streams")
    flow = Flow(
        cast(Group, group),
        settings,
        completion=cast(Any, completion),
        health=health,
        metrics=Metrics(CollectorRegistry()),
        reached=lambda _: None,
    )
    bench = Bench(flow, group, completion, health, asyncio.Queue())
    await flow.start()
    await flow.on_assigned()
    consuming = asyncio.create_task(flow.consume(cast(Any, MemoryStream(bench.events))))
    yield bench
    consuming.cancel()
    await asyncio.gather(consuming, return_exceptions=True)
    await flow.stop()


async def test_what_is_completed_is_committed_in_order() -> None:
    async with running() as bench:
        bench.write(P0, 1, 2, 3)
        bench.write(P1, 4)
        await bench.until_completed(1, 2, 3, 4)
        await bench.until_committed(P0, 3)
        await bench.until_committed(P1, 1)
        assert bench.health.problems == {}


async def test_a_worker_that_was_full_turns_without_work_no_more_than_one_that_was_not() -> None:
    """What woke it under pressure has to be forgotten, or it is woken for ever."""
    async with running(max_held=4) as bench:
        bench.completion.gate.clear()
        bench.write(P0, *range(1, 21))
        async with asyncio.timeout(5):
            while bench.events.qsize() > 15:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert bench.completion.posts == []
        bench.completion.gate.set()
        await bench.until_completed(*range(1, 21))
        await bench.until_committed(P0, 20)
        asked = bench.group.questions
        await asyncio.sleep(0.6)
        # Some four looks a second, a few questions each.
        assert bench.group.questions - asked < 60


async def test_no_more_is_held_than_allowed() -> None:
    async with running(max_held=4) as bench:
        bench.completion.gate.clear()
        bench.write(P0, *range(1, 101))
        await asyncio.sleep(0.5)
        # Held, and the one that waits for room.
        assert bench.events.qsize() == 100 - 4 - 1


async def test_a_record_that_is_none_is_set_aside_and_released() -> None:
    async with running() as bench:
        bench.write(P0, 1)
        bench.group.end[P0] = Offset(3)
        bench.deliver(P0, 1, b"not a record")
        bench.deliver(P0, 2, None)
        await bench.until_committed(P0, 3)
        assert bench.completion.posts == [1]
        assert bench.completion.publisher.values("posts.dead") == [b"not a record", b""]


async def test_what_was_read_before_a_rebalance_belongs_to_nobody() -> None:
    async with running() as bench:
        bench.write(P0, 1)
        await bench.until_committed(P0, 1)
        await bench.flow.on_revoked()
        assert bench.health.problems == {"streams": "a rebalance: waiting for partitions"}
        bench.group.generation = 2
        bench.write(P0, 2)
        await bench.flow.on_assigned()
        bench.deliver(P0, 1, encode_created(Created(2)), generation=2)
        await bench.until_completed(1, 2)
        await bench.until_committed(P0, 2)


async def test_a_rebalance_lets_the_batch_in_work_be_released_first() -> None:
    async with running() as bench:
        bench.completion.gate.clear()
        bench.write(P0, 1)
        await asyncio.sleep(0.6)
        revoking = asyncio.create_task(bench.flow.on_revoked())
        await asyncio.sleep(0.05)
        bench.completion.gate.set()
        await revoking
        assert bench.group.commits == {P0: 1}


async def test_a_record_that_is_delivered_twice_is_taken_once() -> None:
    async with running() as bench:
        bench.write(P0, 1, 2)
        bench.deliver(P0, 0, encode_created(Created(1)))
        await bench.until_committed(P0, 2)
        assert bench.completion.posts == [1, 2]


async def test_a_jump_that_retention_explains_is_taken() -> None:
    async with running() as bench:
        bench.write(P0, 1)
        bench.group.first[P0] = Offset(10)
        bench.write(P0, 2, offset=10)
        await bench.until_completed(1, 2)
        await bench.until_committed(P0, 11)


async def test_a_jump_to_what_is_committed_is_taken() -> None:
    """The partition's owner before us had released what is in between, and Kafka knew it a moment later."""
    async with running() as bench:
        bench.group.commits[P0] = Offset(10)
        bench.write(P0, 2, offset=10)
        await bench.until_completed(2)
        await bench.until_committed(P0, 11)


@pytest.mark.parametrize("read_before", [True, False])
async def test_a_jump_that_nothing_explains_ends_the_worker(read_before: bool) -> None:
    """A commit past it would lose what is in it; a worker that begins anew reads it."""
    async with running() as bench:
        if read_before:
            bench.write(P0, 1)
            await bench.until_committed(P0, 1)
        bench.write(P0, 2, offset=10)
        async with asyncio.timeout(5):
            while not bench.flow.crashed:
                await asyncio.sleep(0.01)
        assert isinstance(bench.flow.crash_reason, LostPlace)
        assert bench.group.commits == ({P0: 1} if read_before else {})


async def test_an_end_older_than_what_is_committed_is_no_cut() -> None:
    """The consumer's idea of a partition's end is as old as its last fetch; another worker may have gone on since."""
    async with running() as bench:
        bench.group.commits[P1] = Offset(301)
        bench.group.end[P1] = Offset(300)
        await bench.flow.on_assigned()
        bench.write(P0, 1)
        await asyncio.sleep(0.6)
        assert not bench.flow.crashed
        bench.group.end[P1] = Offset(301)
        await bench.until_completed(1)


async def test_a_log_that_was_cut_ends_the_worker_and_is_read_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agent, "_CUT_SECONDS", 0.1)
    async with running() as bench:
        bench.write(P0, 1, 2, 3)
        await bench.until_committed(P0, 3)
        bench.group.end[P0] = Offset(1)
        async with asyncio.timeout(5):
            while not bench.flow.crashed:
                await asyncio.sleep(0.01)
        assert isinstance(bench.flow.crash_reason, LostPlace)
        assert bench.group.commits == {P0: 0}


async def test_a_kafka_that_is_away_cuts_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stale end, and nobody to ask: the worker waits instead of ending."""
    monkeypatch.setattr(agent, "_CUT_SECONDS", 0.1)
    async with running() as bench:
        bench.write(P0, 1, 2, 3)
        await bench.until_committed(P0, 3)
        bench.group.stale = Offset(1)
        bench.group.away = True
        await asyncio.sleep(0.8)
        assert not bench.flow.crashed


async def test_an_end_that_the_consumer_alone_believes_is_no_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "_CUT_SECONDS", 0.1)
    async with running() as bench:
        bench.write(P0, 1, 2, 3)
        await bench.until_committed(P0, 3)
        bench.group.stale = Offset(1)
        await asyncio.sleep(0.8)
        assert not bench.flow.crashed
        bench.group.stale = None
        bench.write(P0, 4)
        await bench.until_completed(1, 2, 3, 4)


@pytest.mark.parametrize("gone", [5, 7])
async def test_what_retention_took_counts_as_read(gone: int) -> None:
    """A silent partition whose log was deleted up to its end does not hold up the others."""
    async with running() as bench:
        bench.group.end[P1] = bench.group.first[P1] = Offset(gone)
        bench.write(P0, 1)
        await bench.until_completed(1)


async def test_places_say_what_is_committed_and_where_the_log_ends() -> None:
    async with running() as bench:
        bench.write(P0, 1, 2)
        await bench.until_committed(P0, 2)
        async with asyncio.timeout(5):
            while (await bench.flow.places())[P0].committed != 2:
                await asyncio.sleep(0.01)
        assert await bench.flow.places() == {P0: (2, 2), P1: (0, 0)}
