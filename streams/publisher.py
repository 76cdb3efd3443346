"""Confirmed writes to Kafka."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Final, NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.settings import Settings
from streams.telemetry import Health
from streams.topics import declare_topics

# Kafka's default message.max.bytes leaves this to one record and its batch's header.
MAX_RECORD_BYTES: Final = 1_000_000
# A broker that does not answer for so long is asked anew; the record is sent again, and may stand twice.
_REQUEST_TIMEOUT_MS: Final = 10_000
_KAFKA_ERRORS: Final = (KafkaError, OSError, TimeoutError)
# The partitioner of Java's clients, so that everybody puts a key into the same partition.
_partition: Final = DefaultPartitioner()


class TooLarge(Exception):
    """The record is larger than Kafka takes; sending it again would not help."""


Keyed = tuple[bytes | None, bytes]
"""A record's key, which chooses its partition, and its value."""


class Publishes(Protocol):
    """Where records are written; :class:`Publisher` is the real one."""

    async def publish(self, topic: str, records: Sequence[Keyed]) -> None:
        """Write records and return when all are confirmed, however long that takes; raises :class:`TooLarge`."""
        ...


def delays() -> Iterator[float]:
    """Yield the seconds to wait before each new attempt: from 0.1, doubling, to 5 for ever."""
    return chain((0.1, 0.2, 0.4, 0.8, 1.6, 3.2), repeat(5.0))


class Publisher:
    """Writes records and returns when every replica in sync has them; keeps trying for ever."""

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._health = health
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Wait for Kafka, declare the topics, connect. Raises :class:`streams.topics.WrongTopic`."""
        for delay in delays():
            try:
                await declare_topics(self._settings)
                self._producer = await self._connected()
            except _KAFKA_ERRORS as error:
                self._health.waiting("kafka", f"waiting for Kafka at {self._settings.kafka_url}: {error}")
                await asyncio.sleep(delay)
            else:
                self._health.well("kafka")
                return

    async def stop(self) -> None:
        """Send what is buffered and disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def publish(self, topic: str, records: Sequence[Keyed]) -> None:
        """Write records and return when Kafka has confirmed them all; raises :class:`TooLarge`.

        The records of a partition stand in their order, unless a part of them has to be written again.
        That can also write a record twice: what reads the feed knows repeats (law 2), and a repeated
        record of posts.created is looked up again.
        """
        for key, value in records:
            if (size := len(key or b"") + len(value)) > MAX_RECORD_BYTES:
                raise TooLarge(f"a record of {size} bytes is more than the {MAX_RECORD_BYTES} that Kafka takes")
        attempts = delays()
        while records:
            records, error = await self._write(topic, records)
            if error is None:
                self._health.well("kafka")
            else:
                self._health.waiting("kafka", f"Kafka does not confirm what is written: {type(error).__name__}")
                await asyncio.sleep(next(attempts))

    async def _write(self, topic: str, records: Sequence[Keyed]) -> tuple[Sequence[Keyed], Exception | None]:
        """Write records in one batch for each partition; return those that were not confirmed, and why.

        aiokafka would make the same batches itself, with a task's and a future's work for each record.
        """
        assert self._producer is not None, "publish() before start()"  # noqa: S101 - the services' order
        producer = self._producer
        try:
            partitions = sorted(await producer.partitions_for(topic))
            by_partition: dict[int, list[Keyed]] = {}
            for record in records:
                by_partition.setdefault(_partition(record[0], partitions, partitions), []).append(record)
            batches = [batch for part, some in by_partition.items() for batch in _batches(producer, part, some)]
            written = [await producer.send_batch(b.builder, topic, partition=b.partition) for b in batches]
        except _KAFKA_ERRORS as error:
            return records, error
        answers = await asyncio.gather(*written, return_exceptions=True)
        failed: list[Keyed] = []
        why: Exception | None = None
        for batch, answer in zip(batches, answers, strict=True):
            if isinstance(answer, _KAFKA_ERRORS):
                failed += batch.records
                why = answer
            elif isinstance(answer, BaseException):
                raise answer
        return failed, why

    async def reachable(self) -> bool:
        """Say whether Kafka answers, by a connection that no consumer shares."""
        return self._producer is not None and bool(await self._producer.client.force_metadata_update())

    async def _connected(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._settings.kafka_client("postcast-worker"),
            acks="all",
            compression_type="lz4",
            max_batch_size=MAX_RECORD_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )
        try:
            await producer.start()
        except BaseException:
            # aiokafka leaves the sockets and the tasks of a failed start open.
            await producer.stop()
            raise
        return producer


class _Batch(NamedTuple):
    partition: int
    builder: BatchBuilder
    records: list[Keyed]


def _batches(producer: AIOKafkaProducer, partition: int, records: Iterable[Keyed]) -> Iterator[_Batch]:
    """Put a partition's records, in their order, into as few batches as hold them."""
    batch = _Batch(partition, producer.create_batch(), [])
    for record in records:
        if batch.builder.append(key=record[0], value=record[1], timestamp=None) is None:
            yield batch
            batch = _Batch(partition, producer.create_batch(), [])
            batch.builder.append(key=record[0], value=record[1], timestamp=None)
        batch.records.append(record)
    yield batch
