"""The worker in its consumer group: which partitions are ours, how far they go, and what is committed.

The one place that leans on how Faust wraps aiokafka's consumer: it runs in a thread of its own, and
Faust's own ways to it end the worker when a commit finds the broker away, and cannot ask for a
committed offset. ``integration/`` fails when a Faust release moves what is used here.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, cast

import faust
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from streams.contract import Offset, Partition


class Group:
    """The partitions of one topic. Every call that asks Kafka raises KafkaError when it cannot."""

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
            highwater: int | None = self._app.consumer.highwater(TP(self._topic, partition))
        except AssertionError:
            # aiokafka asserts that the partition is assigned; its thread may know of a rebalance before us.
            return None
        return None if highwater is None else Offset(highwater)

    async def begin(self) -> dict[Partition, Offset]:
        """Go to where each partition that is assigned now is to be read from, and return these places."""
        partitions = [Partition(tp.partition) for tp in self._app.consumer.assignment() if tp.topic == self._topic]
        await self._until_idle()
        begin = await self.earliest(partitions)
        for partition in partitions:
            tp = TopicPartition(self._topic, partition)
            begin[partition] = max(await self.committed(partition), begin[partition])
            # aiokafka's own seek to what is committed passes over partitions without a commit, or with one at
            # 0; and Faust has dropped what it fetched meanwhile.
            await self._call("seek", tp, begin[partition])
        return begin

    async def begin_anew(self, partition: Partition) -> None:
        """Commit a partition's beginning, for the next who reads it.

        Of a topic that was made anew the committed offset lies beyond the end, and Faust drops every
        record below it: all.
        """
        await self.commit(await self.earliest([partition]))

    async def committed(self, partition: Partition) -> Offset:
        """Return what is committed of a partition; 0 when nothing is."""
        return Offset(await self._call("committed", TopicPartition(self._topic, partition)) or 0)

    async def earliest(self, partitions: Collection[Partition]) -> dict[Partition, Offset]:
        """Return what retention left as the beginning of each partition."""
        return await self._offsets("beginning_offsets", partitions)

    async def ends(self, partitions: Collection[Partition]) -> dict[Partition, Offset]:
        """Return the end of each partition as of now."""
        return await self._offsets("end_offsets", partitions)

    async def commit(self, offsets: Mapping[Partition, Offset]) -> None:
        """Commit what is to be read next, by partition."""
        await self._call(
            "commit", {TopicPartition(self._topic, p): OffsetAndMetadata(offset, "") for p, offset in offsets.items()}
        )

    async def _until_idle(self) -> None:
        """Wait until the consumer's thread has answered what it was asked before.

        A fetch that was under way when the rebalance began would go on from where we seek, and Faust
        drops what it brings. The thread answers a few calls at a time; when so many of ours meet in it,
        nothing else is under way.
        """
        count = self._thread.method_queue.num_workers
        meeting = asyncio.Barrier(count)
        await asyncio.gather(*(self._thread.call_thread(meeting.wait) for _ in range(count)))

    async def _offsets(self, question: str, partitions: Collection[Partition]) -> dict[Partition, Offset]:
        if not partitions:
            return {}
        answer = await self._call(question, [TopicPartition(self._topic, partition) for partition in partitions])
        return {Partition(tp.partition): Offset(offset) for tp, offset in answer.items()}

    async def _call(self, method: str, *args: Any) -> Any:
        return await self._thread.call_thread(getattr(self._thread._ensure_consumer(), method), *args)  # noqa: SLF001

    @property
    def _thread(self) -> AIOKafkaConsumerThread:
        return cast(AIOKafkaConsumerThread, cast(Any, self._app.consumer)._thread)  # noqa: SLF001
