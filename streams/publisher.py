"""Confirmed writes to Kafka.

A write returns when every replica in sync has its records, and is repeated until then: a record may be written twice
(law 2 covers the feed; a repeated record of posts.created is looked up again), and is never lost. The records of a
partition stand in their order, since a batch is sent after the one before it was confirmed.

While a write is not confirmed the caller's work waits for Kafka, with a sentence that names the topic.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Final, NamedTuple, Protocol, cast

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownError,
    UnknownTopicOrPartitionError,
)
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

from runtime.kafka_connections import stopped
from streams.contract import MAX_IDS, Created, PostId, encode_created
from streams.progress import Work
from streams.settings import TopicSettings
from streams.topics import declare_topics

MAX_RECORD_BYTES: Final = 1_000_000
"""How large a record may be: Kafka's default ``message.max.bytes`` without the header of its batch."""

# A batch of one such record: its header, and the record's own.
_MAX_BATCH_BYTES: Final = MAX_RECORD_BYTES + 128
# Kafka answers within milliseconds. What is not confirmed for so long is sent again.
_REQUEST_TIMEOUT_MS: Final = 10_000
# How long what is buffered may take to be sent at the end. What is not confirmed by then is written again by whoever
# reads the ids again.
_FLUSH_SECONDS: Final = 5.0
# How soon a producer learns of partitions that were added, that a topic was made anew, and that the leader to which it
# writes was cut off from the others, and deposed: that one does not say so.
_METADATA_MAX_AGE_MS: Final = 10_000
_KAFKA_ERRORS: Final = (KafkaError, OSError, TimeoutError)
_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)
# The partitioner of Java's clients: who writes to posts.created by key puts an id into the same partition.
_partitioner: Final = DefaultPartitioner()

_SENTENCES: Final[Mapping[type[Exception], str]] = {
    InvalidTimestampError: "Kafka refuses records for {} by their timestamps: this machine's clock is wrong",
    NotEnoughReplicasAfterAppendError: "Kafka has too few replicas of {} in sync",
    NotEnoughReplicasError: "Kafka has too few replicas of {} in sync",
    TopicAuthorizationFailedError: "Kafka does not allow this worker to write to {}: grant it the right",
    UnknownError: "Kafka refuses records for {}, with an error that this client does not know: see the broker's log",
    UnknownTopicOrPartitionError: "Kafka has no topic {}",
}


class TooLarge(Exception):
    """The record is larger than Kafka takes; sending it again would not help."""


class Publishes(Protocol):
    """Where records are written; :class:`Publisher` is the real one."""

    async def publish(self, topic: str, values: Sequence[bytes], work: Work) -> None:
        """Write values to partition 0 of the feed or dead topic, in order; return when all are confirmed.

        Raises :class:`TooLarge` for the first value that the feed cannot take; the values before it are confirmed.
        """
        ...

    async def announce(self, ids: Sequence[PostId], attempt: int, work: Work) -> None:
        """Write ids to posts.created, each in its partition, and return when all are confirmed."""
        ...


def delays() -> Iterator[float]:
    """Yield the seconds to wait before each new attempt: from 0.1, doubling, to 5 for ever."""
    return chain((0.1, 0.2, 0.4, 0.8, 1.6, 3.2), repeat(5.0))


def partition_of(post: PostId, partitions: Sequence[int]) -> int:
    """Return an id's partition of posts.created: murmur2 of its decimal form. ``partitions`` are all, in order."""
    partition: int = _partitioner(b"%d" % post, partitions, partitions)
    return partition


def created_records(ids: Sequence[PostId], attempt: int) -> "list[Keyed]":
    """Return the records of posts.created that announce ids of one partition, :data:`MAX_IDS` in each."""
    created = [Created(ids[start : start + MAX_IDS], attempt) for start in range(0, len(ids), MAX_IDS)]
    return [Keyed(record.key, encode_created(record)) for record in created]


class Keyed(NamedTuple):
    """A record's key and value."""

    key: bytes | None
    value: bytes


class Publisher:
    """Writes records and returns when every replica in sync has them; keeps trying for ever."""

    def __init__(self, settings: TopicSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def start(self, work: Work) -> None:
        """Wait for Kafka, declare the topics, connect; raises what :func:`streams.topics.declare_topics` does."""
        for delay in delays():
            try:
                with work.asks("kafka", f"waiting for Kafka at {self._settings.kafka_url}"):
                    await declare_topics(self._settings)
                    self._producer = await self._connected()
            except _KAFKA_ERRORS as error:
                work.waits("kafka", f"waiting for Kafka at {self._settings.kafka_url}: {error}")
                await asyncio.sleep(delay)
            else:
                work.progressed()
                return

    async def stop(self) -> None:
        """Send what is buffered and disconnect."""
        if self._producer is not None:
            await stopped(self._producer.stop, self._producer.client.close, seconds=_FLUSH_SECONDS)

    async def publish(self, topic: str, values: Sequence[bytes], work: Work) -> None:
        """Write values to partition 0, in order, and return when all are confirmed; raises :class:`TooLarge`."""
        writing = _Writing(self._required(), topic, work, refusable=topic == self._settings.feed_topic)
        while values:
            done = await writing.round({0: [Keyed(None, value) for value in values]})
            values = values[done.get(0, 0) :]

    async def announce(self, ids: Sequence[PostId], attempt: int, work: Work) -> None:
        """Write ids to posts.created, each in its partition, and return when all are confirmed."""
        writing = _Writing(self._required(), self._settings.created_topic, work, refusable=False)
        while ids:
            partitions = await writing.partitions()
            groups: dict[int, list[PostId]] = {}
            for post in ids:
                groups.setdefault(partition_of(post, partitions), []).append(post)
            done = await writing.round({p: created_records(group, attempt) for p, group in groups.items()})
            ids = [post for p, group in groups.items() for post in group[done.get(p, 0) * MAX_IDS :]]

    def _required(self) -> AIOKafkaProducer:
        assert self._producer is not None, "a write before start()"  # noqa: S101 - the order of the services
        return self._producer

    async def _connected(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._settings.kafka_client("postcast-worker"),
            acks="all",
            compression_type="lz4",
            max_batch_size=MAX_RECORD_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=_METADATA_MAX_AGE_MS,
        )
        try:
            await producer.start()
        except BaseException:
            # aiokafka leaves the sockets and the tasks of a failed start open.
            await stopped(producer.stop, producer.client.close)
            raise
        return producer


class _Writing:
    """One write to one topic, in rounds: each sends a batch to each partition that has records left."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, work: Work, *, refusable: bool) -> None:
        self._producer = producer
        self._topic = topic
        self._work = work
        # Whether a record that Kafka finds too large is the caller's business, or is waited for.
        self._refusable = refusable
        self._delays = delays()
        # Kafka's limit is one of batches: a record may fit where its batch does not.
        self._one_by_one = False

    async def partitions(self) -> Sequence[int]:
        """Return the topic's partitions, in order, as of the producer's latest metadata."""
        while True:
            try:
                with self._work.asks("kafka", f"Kafka does not say which partitions {self._topic} has"):
                    return sorted(await self._producer.partitions_for(self._topic))
            except _KAFKA_ERRORS as error:
                await self._wait(error)

    async def round(self, records: Mapping[int, Sequence[Keyed]]) -> dict[int, int]:
        """Send each partition one batch of its records; return how many were confirmed of each.

        Waits before it returns when something was not confirmed. Raises :class:`TooLarge`.
        """
        batches = {partition: self._batch(some) for partition, some in records.items()}
        with self._work.asks("kafka", f"Kafka has not confirmed what was written to {self._topic}"):
            answers = await asyncio.gather(*(self._send(partition, batch) for partition, batch in batches.items()))
        done: dict[int, int] = {}
        why: Exception | None = None
        for (partition, batch), error in zip(batches.items(), answers, strict=True):
            if error is None:
                done[partition] = batch.record_count()
            elif isinstance(error, _TOO_LARGE) and batch.record_count() > 1:
                self._one_by_one = True
            elif isinstance(error, _TOO_LARGE) and self._refusable:
                raise TooLarge(f"a record of {len(records[partition][0].value)} bytes is more than Kafka takes")
            else:
                why = error
        if done:
            self._work.progressed()
        if why is not None:
            await self._wait(why)
        return done

    def _batch(self, records: Sequence[Keyed]) -> BatchBuilder:
        """Put as many records as fit into a batch, from the first on: at least one."""
        batch = self._producer.create_batch()
        for key, value in records[:1] if self._one_by_one else records:
            if batch.append(key=key, value=value, timestamp=None) is None:
                break
        batch.close()
        return batch

    async def _send(self, partition: int, batch: BatchBuilder) -> Exception | None:
        """Send a batch; return why it was not confirmed."""
        try:
            if batch.size() > _MAX_BATCH_BYTES:
                raise MessageSizeTooLargeError
            if partition not in await self._producer.partitions_for(self._topic):
                raise UnknownTopicOrPartitionError
            await (await self._producer.send_batch(batch, self._topic, partition=partition))
        except _KAFKA_ERRORS as error:
            return cast("Exception", error)
        return None

    async def _wait(self, error: Exception) -> None:
        if isinstance(error, _TOO_LARGE):
            why = f"Kafka takes no records as large as those for {self._topic}: raise its max.message.bytes"
        else:
            unknown = f"Kafka does not confirm what is written to {{}}: {type(error).__name__}"
            why = _SENTENCES.get(type(error), unknown).format(self._topic)
        self._work.waits("kafka", why)
        # A leader that is cut off from the others confirms nothing, and does not say that it was deposed.
        self._producer.client.force_metadata_update()
        await asyncio.sleep(next(self._delays))
