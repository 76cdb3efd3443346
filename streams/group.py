"""The worker in its consumer group: which partitions are ours, how far they go, and what is committed.

The one place, beside :mod:`streams.kafka_consumer`, that leans on how Faust wraps aiokafka's consumer: it runs in a
thread of its own, and Faust's own ways to it end the worker when a commit finds the broker away, and cannot ask for a
committed offset. Its unit tests fail when a Faust release moves what is used here.

Kafka is asked for each partition alone where it does not answer for all: a partition without a leader has no end, and
the others have.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import Any, Final, TypeVar, cast

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.types import TP

from streams.contract import Offset, Partition
from streams.kafka_consumer import Consumer, ConsumerThread
from streams.positions import Passed

# A partition's leader answers within milliseconds; what it does not say in this time is not known.
_ANSWER_SECONDS: Final = 2.0
# A commit, or the question for one: as long as Kafka may take to name another coordinator of the group.
_COORDINATOR_SECONDS: Final = 10.0

Answer = TypeVar("Answer")


class Group:
    """The partitions of one topic. Every call that asks Kafka raises KafkaError or TimeoutError when it cannot."""

    def __init__(self, app: faust.App, topic: str) -> None:
        self._app = app
        self._topic = topic

    @property
    def generation(self) -> int:
        """The number of the latest rebalance."""
        return self._app.consumer_generation_id

    def highwater(self, partition: Partition) -> Offset | None:
        """Return the end of a partition as of its last fetch; None before the first."""
        try:
            highwater: int | None = self._consumer.highwater(TP(self._topic, partition))
        except AssertionError:
            # aiokafka asserts that the partition is assigned; its thread may know of a rebalance before us.
            return None
        return None if highwater is None else Offset(highwater)

    def passed(self, partition: Partition) -> Passed | None:
        """Return how far the consumer has handed a partition over; None before it has begun."""
        return self._thread.passed.get(TP(self._topic, partition))

    @property
    def refused(self) -> bool:
        """Whether Kafka last said that the worker may not read the topic."""
        return self._thread.refused

    def leaderless(self, partitions: Collection[Partition]) -> frozenset[Partition]:
        """Return which of these partitions no broker leads, as far as the consumer knows."""
        if not partitions:
            # Before the consumer has started, too.
            return frozenset()
        cluster = self._aiokafka._client.cluster  # noqa: SLF001
        leaders = {p: cluster.leader_for_partition(TopicPartition(self._topic, p)) for p in partitions}
        return frozenset(partition for partition, leader in leaders.items() if leader in {None, -1})

    def pause(self, partitions: Collection[Partition]) -> None:
        """Read these partitions no further, and all others on; some of what was fetched still comes."""
        self._consumer.pause_reading(TP(self._topic, partition) for partition in partitions)

    async def begin(self) -> dict[Partition, Offset]:
        """Seek each assigned partition to its committed offset, or to the oldest record left; return the offsets.

        Of a partition whose leader does not answer the oldest record is not known; aiokafka goes there by itself.
        """
        partitions = [Partition(tp.partition) for tp in self._consumer.assignment() if tp.topic == self._topic]
        async with asyncio.timeout(_COORDINATOR_SECONDS):
            committed = await asyncio.gather(*map(self.committed, partitions))
        earliest = await self.earliest(partitions)
        begin = {p: max(offset, earliest.get(p, Offset(0))) for p, offset in zip(partitions, committed, strict=True)}
        await self._in_thread(self._seek(begin))
        return begin

    async def seek(self, partition: Partition, offset: Offset) -> None:
        """Read a partition again from this offset on."""
        await self._in_thread(self._seek({partition: offset}))

    async def begin_anew(self, partition: Partition) -> None:
        """Commit a partition's beginning, for the next who reads it.

        Of a topic that was made anew the committed offset lies beyond the end.
        """
        await self.commit(await self.earliest([partition]))

    async def committed(self, partition: Partition) -> Offset:
        """Return what is committed of a partition; 0 when nothing is."""
        return Offset(await self._in_thread(self._aiokafka.committed(TopicPartition(self._topic, partition))) or 0)

    async def earliest(self, partitions: Collection[Partition]) -> dict[Partition, Offset]:
        """Return what retention left as the beginning of each partition whose leader answers."""
        return await self._in_thread(self._offsets(self._aiokafka.beginning_offsets, partitions))

    async def ends(self, partitions: Collection[Partition]) -> dict[Partition, Offset]:
        """Return the end of each partition whose leader answers, as of now."""
        return await self._in_thread(self._offsets(self._aiokafka.end_offsets, partitions))

    async def commit(self, offsets: Mapping[Partition, Offset]) -> None:
        """Commit what is to be read next, by partition."""
        entries = {TopicPartition(self._topic, p): OffsetAndMetadata(offset, "") for p, offset in offsets.items()}
        async with asyncio.timeout(_COORDINATOR_SECONDS):
            await self._in_thread(self._aiokafka.commit(entries))

    # -- in the consumer's thread --------------------------------------------------------------------

    async def _seek(self, offsets: Mapping[Partition, Offset]) -> None:
        thread = self._thread
        async with thread.fetching:
            for partition, offset in offsets.items():
                tp = TopicPartition(self._topic, partition)
                self._aiokafka.seek(tp, offset)
                thread.passed.pop(cast(TP, tp), None)

    async def _offsets(
        self,
        question: Callable[[list[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]],
        partitions: Collection[Partition],
    ) -> dict[Partition, Offset]:
        led = [TopicPartition(self._topic, p) for p in set(partitions) - self.leaderless(partitions)]

        async def ask(some: list[TopicPartition]) -> Mapping[TopicPartition, int]:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    return await question(some)
            except (KafkaError, TimeoutError):
                return {}

        answers = [await ask(led)] if led else []
        if led and not answers[0]:
            answers = await asyncio.gather(*(ask([tp]) for tp in led))
        return {Partition(tp.partition): Offset(offset) for answer in answers for tp, offset in answer.items()}

    async def _in_thread(self, call: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a call in the consumer's thread; who is cancelled here cancels it there.

        Faust's own way is a queue with two places, which a question without an answer would fill.
        """
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._thread.thread_loop))

    @property
    def _consumer(self) -> Consumer:
        return cast(Consumer, self._app.consumer)

    @property
    def _thread(self) -> ConsumerThread:
        return self._consumer._thread  # noqa: SLF001

    @property
    def _aiokafka(self) -> AIOKafkaConsumer:
        return self._thread._ensure_consumer()  # noqa: SLF001
