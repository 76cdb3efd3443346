"""Faust's consumer and aiokafka's, real but for brokers: what aiokafka would ask them is answered from memory.

The thread of the consumer is real, too; only its event loop is the test's. So what ``streams.group`` and
``streams.kafka_consumer`` lean on is there as the pinned versions have it, and a test fails when it moves.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, Fetcher, FetchError, FetchResult, PartitionRecords
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.protocol.metadata import MetadataResponse_v1
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from aiokafka.util import commit_structure_validate
from faust.types import TP

from streams.group import Group
from streams.kafka_consumer import Consumer
from streams.settings import Settings
from tests.streams.doubles import Gate
from tests.streams.worker_app import create

TOPIC = "posts.created"
SETTINGS = Settings.model_validate(
    {
        "amqp_url": "amqp://broker",
        "database_url": "postgres://database/db",
        "kafka_url": "kafka://one:9092;kafka://two:9093",
    }
)


class MemoryKafkaConsumer(AIOKafkaConsumer):  # type: ignore[misc] # it has no types
    """aiokafka's consumer, whose questions to brokers are answered from memory.

    Each question can fail (``failures``, by the method's name, first come first served) and be held (``gates``);
    ``asked`` are all of them. ``silent`` partitions fail every question that names them. ``committed_offsets``,
    ``first`` and ``end`` are the answers, by partition.
    """

    def __init__(self, *topics: str, **settings: Any) -> None:
        super().__init__(*topics, **settings)
        self.settings = settings
        self.committed_offsets: dict[int, int] = {}
        self.first: dict[int, int] = {}
        self.end: dict[int, int] = {}
        self.silent: set[int] = set()
        self.failures: dict[str, deque[Exception]] = defaultdict(deque)
        self.gates: dict[str, Gate] = defaultdict(Gate)
        self.asked: list[tuple[str, list[int]]] = []
        self.cancelled: list[str] = []

    async def start(self) -> None:
        """Have a fetcher, which fetches nothing."""
        self._fetcher = Fetcher(self._client, self._subscription, auto_offset_reset=self._auto_offset_reset)
        self._fetcher._fetch_task.cancel()  # noqa: SLF001 - it would connect

    def lead(self, leaders: Mapping[int, int], topic: str = TOPIC) -> None:
        """Hear from a broker which one leads each partition; -1: none."""
        partitions = [(0, partition, leader, [0], [0]) for partition, leader in leaders.items()]
        response = MetadataResponse_v1(
            brokers=[(0, "broker", 9092, None)], controller_id=0, topics=[(0, topic, False, partitions)]
        )
        self._client.cluster.update_metadata(response)

    def assigned(self, *partitions: TopicPartition) -> None:
        """Take an assignment; positions are not known yet."""
        self._subscription.assign_from_user(partitions)

    def fetched(self, partition: int, offsets: Sequence[int], *, end: int | None = None, topic: str = TOPIC) -> None:
        """Have fetched these offsets; what lies between them is gone. ``end``: as the answer said."""
        tp = TopicPartition(topic, partition)
        batch = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 24)
        for offset in offsets:
            batch.append(offset, 1000 * offset, None, b"%d" % offset, [])
        assignment = self._subscription.subscription.assignment
        state = assignment.state_value(tp)
        state.highwater = offsets[-1] + 1 if end is None else end
        records = PartitionRecords(
            tp, MemoryRecords(bytes(batch.build())), [], state.position, None, None, True, READ_UNCOMMITTED
        )
        self._fetcher._records[tp] = FetchResult(  # noqa: SLF001 - as its own task does
            tp, assignment=assignment, partition_records=records, backoff=0
        )
        self._notify()

    def refuse(self, partition: int) -> None:
        """Have heard that this partition may not be read."""
        error = FetchError(error=TopicAuthorizationFailedError(TOPIC), backoff=0)
        self._fetcher._records[TopicPartition(TOPIC, partition)] = error  # noqa: SLF001 - as its own task does
        self._notify()

    def _notify(self) -> None:
        for waiter in self._fetcher._fetch_waiters:  # noqa: SLF001 - as its own task does
            self._fetcher._notify(waiter)  # noqa: SLF001 - likewise

    def buffered(self, partition: int) -> bool:
        """Say whether records of a partition wait to be handed over."""
        return TopicPartition(TOPIC, partition) in self._fetcher._records  # noqa: SLF001 - no public way

    # -- what brokers are asked --------------------------------------------------------------------

    async def _question(self, name: str, partitions: Iterable[TopicPartition]) -> None:
        numbers = sorted(tp.partition for tp in partitions)
        self.asked.append((name, numbers))
        try:
            await self.gates[name].passed()
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        if self.failures[name]:
            raise self.failures[name].popleft()
        if self.silent & set(numbers):
            await asyncio.Event().wait()

    async def committed(self, partition: TopicPartition) -> int | None:
        await self._question("committed", [partition])
        return self.committed_offsets.get(partition.partition)

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        await self._question("beginning_offsets", partitions)
        return {tp: self.first.get(tp.partition, 0) for tp in partitions}

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        await self._question("end_offsets", partitions)
        return {tp: self.end.get(tp.partition, 0) for tp in partitions}

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata] | None = None) -> None:
        checked: dict[TopicPartition, OffsetAndMetadata] = commit_structure_validate(offsets)
        await self._question("commit", checked)
        self.committed_offsets |= {tp.partition: entry.offset for tp, entry in checked.items()}


class Reading:
    """A worker's consumer that has started, with ``partitions`` of posts.created, all of them led, at offset 0."""

    def __init__(self, app: faust.App, consumer: Consumer, kafka: MemoryKafkaConsumer) -> None:
        self.app = app
        self.consumer = consumer
        self.kafka = kafka
        self.group = Group(app, TOPIC)
        self.thread = consumer._thread  # noqa: SLF001 - as Group does

    async def hand_over(self, timeout: float = 0.0, *, partitions: Collection[int]) -> dict[int, list[int]]:
        """Ask as Faust does; return the offsets that came, by partition."""
        active = {TP(TOPIC, partition) for partition in partitions}
        records = await self.thread.getmany(active, timeout)
        return {tp.partition: [record.offset for record in some] for tp, some in records.items()}


@asynccontextmanager
async def reading(partitions: int = 2) -> AsyncIterator[Reading]:
    """Start a worker's consumer in the running loop."""
    app = create(SETTINGS)
    consumer = cast(Consumer, app.consumer)
    thread = consumer._thread  # noqa: SLF001 - as Group does
    thread.thread_loop.close()
    thread.thread_loop = asyncio.get_running_loop()
    kafka = MemoryKafkaConsumer(group_id=SETTINGS.app_id, auto_offset_reset="earliest")
    thread._consumer = kafka  # noqa: SLF001 - what Faust's on_start does
    await kafka.start()
    await thread.method_queue.start()
    numbers = range(partitions)
    kafka.lead(dict.fromkeys(numbers, 0))
    kafka.assigned(*(TopicPartition(TOPIC, number) for number in numbers))
    for number in numbers:
        kafka.seek(TopicPartition(TOPIC, number), 0)
    try:
        yield Reading(app, consumer, kafka)
    finally:
        await thread.method_queue.stop()
        await kafka.stop()
