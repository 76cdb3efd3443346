"""``posts.feed`` on Kafka, as the source needs it: how far it reaches, and its records in their order.

Two connections, since a broker answers one request of a connection after the other, and a read
waits there for up to half a second: one reads, without a group and without any rule for where to
go on when its offset is gone; the other asks where the feed begins and ends.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException, KafkaConnectionError, KafkaError, UnsupportedCodecError

from edge.feed.confirmation import confirmed_end
from edge.feed.metadata import ask_for_tracked_topics_only, refused_reads, track
from edge.feed.refusals import unreachable
from edge.feed.start import Bounds
from edge.feed.topic import Feed, Raw, Read, Unreachable, Unreadable
from runtime.kafka import obstacle
from runtime.kafka_connections import consumer_stopped, mend_kafka_connections
from runtime.waiting import uncancelled
from streams.contract import Millis, Offset

# How long a broker may take to answer: far above any healthy answer, and no longer than a client waits for its 101.
_REQUEST_MS: Final = 5_000
# Kafka's own default: a read that finds nothing comes back after this long.
_FETCH_WAIT_MS: Final = 500
# Partitions that are added are seen within this time. The question is for one topic, and costs next to nothing.
_METADATA_MAX_AGE_MS: Final = 30_000
# So many waits without any answer mean that the broker is gone, though the consumer says nothing of it.
_SILENCE_SECONDS: Final = 10 * _FETCH_WAIT_MS / 1000
# Taking in a record of the largest size costs about a millisecond: the loop gets a turn after a few of them.
_BATCH_RECORDS: Final = 8
# What a replay asks for at a time; a batch that is larger comes whole, and the consumer keeps what was not taken yet.
_REPLAY_FETCH_BYTES: Final = 1024 * 1024
# A wrong checksum, and a codec that aiokafka does not have. Other damage raises errors that are not aiokafka's.
_DAMAGES: Final = (CorruptRecordException, UnsupportedCodecError)


class KafkaTopic:
    """A topic's partition 0. Every method raises :class:`edge.feed.topic.Unreachable` when Kafka does not answer."""

    def __init__(
        self, client: Mapping[str, Any], topic: str, asker: AIOKafkaConsumer, reader: AIOKafkaConsumer
    ) -> None:
        self._client = client
        self._topic = topic
        self._partition = TopicPartition(topic, 0)
        self._asker = asker
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        # What was read last, or where reading began: to be read again when the topic may have become another one.
        self._newest = self._next = Offset(0)
        self._refused = 0
        self._alone_before = Offset(0)
        self._answered: int | None = None
        self._answered_at = self._watched_at = 0.0

    async def partitions(self) -> int:
        """Say how many partitions the topic has; 0 when it does not exist."""
        with _translated():
            await track(self._asker, self._topic)
            return len(self._asker.partitions_for_topic(self._topic) or ())

    async def bounds(self) -> Bounds:
        """Say which records there are."""
        with _translated():
            begin = await self._asker.beginning_offsets([self._partition])
        return Bounds(Offset(begin[self._partition]), await self.end())

    async def end(self) -> Offset:
        """Say which offset the next record will get, as of this call or later."""
        if not self._asker.partitions_for_topic(self._topic):
            # Deleted. Asked for its offsets, the client would wait for it.
            raise Unreachable("the topic is gone")
        with _translated():
            return Offset((await self._asker.end_offsets([self._partition]))[self._partition])

    async def confirmed_end(self) -> Offset:
        """Say the same, by the word of a majority of the brokers that keep the topic."""
        return await confirmed_end(self._client, self._topic)

    async def seek(self, offset: Offset) -> None:
        """Read on from ``offset``."""
        self._answered_at = self._watched_at = self._loop.time()
        self._newest = self._next = offset
        with _translated():
            self._reader.assign([self._partition])
            self._reader.seek(self._partition, offset)
            await track(self._reader, self._topic)

    async def read(self) -> Read:
        """Return a few records, or none when there was none for a while.

        After a broker has refused a read, the newest record comes once more: the topic may have been made anew.
        """
        with _translated():
            batch = await self._fetched()
            self._watch(is_silent=not batch)
            refused = refused_reads(self._reader)
            if refused != self._refused:
                self._refused = refused
                self._reader.seek(self._partition, self._newest)
                batch = {}
            else:
                # The markers of transactions take offsets, too, and are passed over.
                self._next = Offset(await self._reader.position(self._partition))
                self._newest = max(self._newest, Offset(self._next - 1))
        next_offset = self._next
        # What was fetched already comes without waiting: the loop gets its turn here.
        await asyncio.sleep(0)
        records = [
            Raw(Offset(record.offset), record.value or b"", Millis(record.timestamp))
            for record in batch.get(self._partition, ())
        ]
        end = Offset(self._reader.highwater(self._partition) or next_offset)
        return Read(records, next_offset, end, len(self._reader.partitions_for_topic(self._topic) or ()))

    async def _fetched(self) -> Mapping[TopicPartition, Sequence[Any]]:
        is_alone = self._next < self._alone_before
        try:
            return await self._reader.getmany(  # type: ignore[no-any-return] # aiokafka has no types
                self._partition, timeout_ms=_FETCH_WAIT_MS, max_records=1 if is_alone else _BATCH_RECORDS
            )
        except Exception as error:
            # Batches are decompressed and decoded in there. One that cannot be would end every edge, again and again.
            if isinstance(error, KafkaError | OSError | TimeoutError) and not isinstance(error, _DAMAGES):
                raise
            if is_alone:
                raise Unreadable(repr(error)) from error
            # aiokafka drops the records that it had taken before the damaged batch: they are read again, one at a time.
            self._alone_before = Offset(self._next + _BATCH_RECORDS)
            self._reader.seek(self._partition, await self._reader.position(self._partition))
            return {}

    def _watch(self, *, is_silent: bool) -> None:
        answered, now = self._reader.last_poll_timestamp(self._partition), self._loop.time()
        if now - self._watched_at > _SILENCE_SECONDS:
            # Nobody has read meanwhile, and so nothing was asked.
            self._answered_at = now
        self._watched_at = now
        if answered != self._answered or not is_silent:
            self._answered, self._answered_at = answered, now
        elif now - self._answered_at > _SILENCE_SECONDS:
            raise TimeoutError("no answer to a read")


def kafka_feed(client: Mapping[str, Any], topic: str) -> Feed:
    """Say how a topic is opened; ``client`` are the arguments of any of aiokafka's clients."""
    mend_kafka_connections()
    return Feed(topic=partial(kafka_topic, client, topic), replay=partial(kafka_replay, client, topic))


@asynccontextmanager
async def kafka_topic(client: Mapping[str, Any], topic: str) -> AsyncIterator[KafkaTopic]:
    """Connect to Kafka, for as long as it answers; ``client`` are the arguments of any of aiokafka's clients."""
    async with _consumer(client) as asker, _consumer(client) as reader:
        yield KafkaTopic(client, topic, asker, reader)


@asynccontextmanager
async def kafka_replay(client: Mapping[str, Any], topic: str) -> AsyncIterator[KafkaTopic]:
    """Connect to Kafka once, to read old records: little of them at a time, and as seldom as they are wanted."""
    limits = {"fetch_max_bytes": _REPLAY_FETCH_BYTES, "max_partition_fetch_bytes": _REPLAY_FETCH_BYTES}
    async with _consumer(client, **limits) as reader:
        opened = KafkaTopic(client, topic, reader, reader)
        await opened.partitions()
        yield opened


@asynccontextmanager
async def _consumer(client: Mapping[str, Any], **limits: int) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **client,
        **limits,
        auto_offset_reset="none",
        enable_auto_commit=False,
        request_timeout_ms=_REQUEST_MS,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        metadata_max_age_ms=_METADATA_MAX_AGE_MS,
    )
    ask_for_tracked_topics_only(consumer)
    try:
        with _translated():
            try:
                await consumer.start()
            except KafkaConnectionError as error:
                found = await obstacle(client)
                raise unreachable(found.error if found else error, str(found or "")) from error
        yield consumer
    finally:
        await consumer_stopped(consumer)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        with uncancelled():
            yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise unreachable(error) from error
