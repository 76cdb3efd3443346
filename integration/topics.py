"""What Kafka holds: whole topics read, records put where a test wants them, offsets that a group has released."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import InvalidReplicationFactorError

from streams.contract import (
    Created,
    DeadLetter,
    FeedRecord,
    PostId,
    decode_created,
    decode_dead,
    decode_feed,
    encode_created,
)

_READ_MS: Final = 200
_CONTROLLER_SECONDS: Final = 60


class Placed(NamedTuple):
    """A record of posts.created for a place and a time of the test's choice."""

    partition: int
    timestamp: int
    post: int


def _brokers(kafka_url: str) -> list[str]:
    return [part.removeprefix("kafka://") for part in kafka_url.split(";")]


@asynccontextmanager
async def _consumer(kafka_url: str, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=_brokers(kafka_url), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def _admin(kafka_url: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=_brokers(kafka_url))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def _partitions(kafka_url: str, topic: str) -> list[TopicPartition]:
    """Return a topic's partitions; none when there is no such topic, which is not made by asking for it."""
    async with _admin(kafka_url) as admin:
        if topic not in await admin.list_topics():
            return []
        [described] = await admin.describe_topics([topic])
        return sorted(TopicPartition(topic, partition["partition"]) for partition in described["partitions"])


async def _read(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> dict[TopicPartition, list[bytes]]:
    values: dict[TopicPartition, list[bytes]] = {partition: [] for partition in partitions}
    consumer.assign(partitions)
    # The end is what a read says it is. Asked for it by itself, Tansu forgets most of the last batch.
    unread = set(partitions)
    if unread:
        await consumer.seek_to_beginning()
    while unread:
        for partition, records in (await consumer.getmany(timeout_ms=_READ_MS)).items():
            values[partition] += [record.value for record in records]
        for partition in list(unread):
            end = consumer.highwater(partition)
            if end is not None and await consumer.position(partition) >= end:
                unread.remove(partition)
    return values


async def raw_records(kafka_url: str, topic: str) -> list[bytes]:
    """Read the values of a whole topic, one partition after the other; none when there is no such topic."""
    partitions = await _partitions(kafka_url, topic)
    async with _consumer(kafka_url) as consumer:
        return [value for values in (await _read(consumer, partitions)).values() for value in values]


async def created_records(kafka_url: str, topic: str) -> list[Created]:
    """Read all of posts.created."""
    return [decode_created(value) for value in await raw_records(kafka_url, topic)]


async def feed_records(kafka_url: str, topic: str) -> list[FeedRecord]:
    """Read all of posts.feed."""
    return [decode_feed(value) for value in await raw_records(kafka_url, topic)]


async def dead_letters(kafka_url: str, topic: str) -> list[DeadLetter]:
    """Read all of posts.dead."""
    return [decode_dead(value) for value in await raw_records(kafka_url, topic)]


async def create(kafka_url: str, partitions: Mapping[str, int], **configuration: str) -> None:
    """Make topics before the product does; ``configuration`` has Kafka's names, with underscores."""
    async with _admin(kafka_url) as admin:
        await create_by(admin, partitions, **configuration)


async def create_by(admin: AIOKafkaAdminClient, partitions: Mapping[str, int], **configuration: str) -> None:
    """Do so with a client of the caller's, which has started."""
    configs = {name.replace("_", "."): value for name, value in configuration.items()}
    wanted = [NewTopic(topic, number, 1, topic_configs=configs) for topic, number in partitions.items()]
    async with asyncio.timeout(_CONTROLLER_SECONDS):
        # A broker that has just started may not know its controller, of which aiokafka asks the number.
        while admin._client.cluster.controller is None:  # noqa: SLF001 - there is no public question
            await asyncio.sleep(0.1)
            await admin._client.force_metadata_update()  # noqa: SLF001
        while True:
            answer = await admin.create_topics(wanted)
            errors = {code for _, code, *_ in answer.topic_errors}
            # The controller of a busy machine takes its only broker for dead until that is heard again.
            if errors != {InvalidReplicationFactorError.errno}:
                break
            await asyncio.sleep(0.5)
    assert errors == {0}, answer


async def until_partitions(kafka_url: str, topic: str, number: int) -> None:
    """Wait until the brokers tell of so many partitions: those that were added are known a moment later."""
    async with asyncio.timeout(_CONTROLLER_SECONDS):
        while len(await _partitions(kafka_url, topic)) != number:
            await asyncio.sleep(0.1)


async def exists(kafka_url: str, topic: str) -> bool:
    """Tell whether there is such a topic; it is not made by asking."""
    return bool(await _partitions(kafka_url, topic))


async def write(kafka_url: str, topic: str, values: Iterable[bytes], partition: int = 0) -> None:
    """Write records to a partition, each in a batch of its own as the worker writes the feed."""
    async with _producer(kafka_url) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=partition)


async def place(kafka_url: str, topic: str, records: Iterable[Placed]) -> None:
    """Write ids to posts.created as if RabbitMQ had delivered them at the given times."""
    async with _producer(kafka_url) as producer:
        for record in records:
            value, key = encode_created(Created((PostId(record.post),))), b"%d" % record.post
            await producer.send(topic, value, key=key, partition=record.partition, timestamp_ms=record.timestamp)


@asynccontextmanager
async def _producer(kafka_url: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=_brokers(kafka_url), acks="all", max_request_size=1_000_000)
    await producer.start()
    try:
        yield producer
    finally:
        # Stopping sends what is buffered; flushing says whether that went well.
        await producer.flush()
        await producer.stop()


async def unreleased(kafka_url: str, topic: str, group: str) -> int:
    """Return how many records of a topic its group has not released."""
    partitions = await _partitions(kafka_url, topic)
    # It assigns itself partitions and so never joins the group; it only asks for what the group has committed.
    async with _consumer(kafka_url, group) as consumer:
        held = await _read(consumer, partitions)
        return sum([len(values) - (await consumer.committed(partition) or 0) for partition, values in held.items()])
