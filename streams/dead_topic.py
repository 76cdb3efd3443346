"""``posts.dead`` on Kafka, read as a stream: every partition, one after the other, in bounded memory.

Reading needs no group and creates nothing: a metadata request for a topic by its name would let a broker create a
missing topic with its own default number of partitions, so all topics are asked for.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Final, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from runtime.kafka_connections import consumer_stopped, stopped
from streams.contract import Millis, Offset, Partition
from streams.dead import Letter, Mark, Marks, Place, read_record
from streams.settings import TopicSettings

_CLIENT_ID: Final = "postcast-dead"
_CONNECT_SECONDS: Final = 8
_REQUEST_MS: Final = 5_000
# An empty partition takes so long to read.
_POLL_MS: Final = 100
# Letters are up to 88 KiB long: at most 9 MB are decoded at a time.
_POLL_RECORDS: Final = 100
# A healthy broker answers a read that finds nothing after _POLL_MS.
_SILENCE_SECONDS: Final = 10.0
# An answer without records, twice in a row: nothing is left, though the position is before the end (a transaction's
# marker, or records that were compacted away).
_EMPTY_ANSWERS: Final = 2


class Unreachable(Exception):
    """Kafka does not answer, or refuses; the message is a sentence."""


class Reads(Protocol):
    """Where the records of posts.dead come from; :class:`DeadTopic` is the real one."""

    name: str
    partitions: Sequence[Partition]
    """The topic's partitions; none when there is no such topic."""

    def records(self) -> AsyncIterator[Letter | Mark]:
        """Yield every record, partition by partition, up to the end as the first reading found it."""
        ...


class DeadTopic:
    """The records of posts.dead on Kafka."""

    def __init__(self, consumer: AIOKafkaConsumer, name: str, partitions: Sequence[Partition]) -> None:
        self.name = name
        self.partitions = partitions
        self._consumer = consumer
        self._ends: dict[Partition, Offset] = {}

    async def records(self) -> AsyncIterator[Letter | Mark]:
        """Yield every record, partition by partition, up to the end as the first reading found it.

        Raises :class:`Unreachable`.
        """
        for partition in self.partitions:
            end = self._ends.get(partition)
            next_offset = Offset(0)
            async with aclosing(self._partition(partition)) as records:
                while next_offset != end and (record := await anext(records, None)) is not None:
                    if end is not None and record.offset >= end:
                        break
                    next_offset = Offset(record.offset + 1)
                    place = Place(partition, Offset(record.offset))
                    yield read_record(place, Millis(record.timestamp), record.value or b"")
            self._ends.setdefault(partition, next_offset)

    async def _partition(self, partition: Partition) -> AsyncGenerator[ConsumerRecord[bytes, bytes]]:
        tp = TopicPartition(self.name, partition)
        consumer = self._consumer
        clock = asyncio.get_running_loop().time
        consumer.assign([tp])
        answered, answered_at, empty = None, clock(), 0
        while True:
            try:
                records = (await consumer.getmany(tp, timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)).get(tp, ())
            except KafkaError as error:
                raise Unreachable(f"partition {partition} of {self.name}: {error}") from error
            for record in records:
                yield record
            if records:
                answered_at, empty = clock(), 0
            elif (polled := consumer.last_poll_timestamp(tp)) != answered:
                answered, answered_at, empty = polled, clock(), empty + 1
            elif clock() - answered_at > _SILENCE_SECONDS:
                raise Unreachable(f"partition {partition} of {self.name} does not answer")
            # The end is what a read says it is. Asked for by itself, Tansu's is too low after a batch of records.
            end = consumer.highwater(tp)
            if end is not None and (empty == _EMPTY_ANSWERS or await consumer.position(tp) >= end):
                return


async def outstanding(topic: Reads, read: Callable[[], None]) -> AsyncGenerator[Letter]:
    """Yield the letters that are not done, in two readings: first the marks, then the letters.

    ``read`` is called for each record. In memory are the marks, one bit each, and what Kafka has sent ahead.
    """
    marks = Marks()
    async for record in topic.records():
        read()
        if isinstance(record, Mark):
            marks.add(record.place)
    async for record in topic.records():
        read()
        if isinstance(record, Letter) and record.place not in marks:
            yield record


@asynccontextmanager
async def dead_topic(settings: TopicSettings) -> AsyncIterator[DeadTopic]:
    """Connect to Kafka and find the topic; raises :class:`Unreachable`."""
    consumer = AIOKafkaConsumer(
        **settings.kafka_client(_CLIENT_ID),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        request_timeout_ms=_REQUEST_MS,
        fetch_max_wait_ms=_POLL_MS,
    )
    try:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                partitions = await _partitions(settings)
                await consumer.start()
        except (KafkaError, OSError, TimeoutError) as error:
            raise Unreachable(_sentence(error, settings)) from error
        yield DeadTopic(consumer, settings.dead_topic, partitions)
    finally:
        await consumer_stopped(consumer)


async def _partitions(settings: TopicSettings) -> list[Partition]:
    admin = AIOKafkaAdminClient(**settings.kafka_client(_CLIENT_ID), request_timeout_ms=_REQUEST_MS)
    try:
        await admin.start()
        for topic in await admin.describe_topics(None):
            if topic["topic"] == settings.dead_topic:
                return sorted(Partition(each["partition"]) for each in topic["partitions"])
        return []
    finally:
        await stopped(admin.close)


def _sentence(error: Exception, settings: TopicSettings) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_CONNECT_SECONDS} s"
    if not isinstance(error, KafkaConnectionError):
        return str(error)
    # aiokafka tells its log alone why it has no connection.
    reasons = ["no broker answers"]
    if settings.kafka_has_tls:
        reasons.append("the certificates do not fit")
    if settings.kafka_has_sasl:
        reasons.append("the user or the password is wrong")
    return ", or ".join(reasons)
