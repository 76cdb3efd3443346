"""What Kafka's logs hold, asked of the broker itself."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete

from streams.contract import decode_dead

POISON: Final = b"poison "
"""How a body begins that is no id on purpose; its number follows."""

_READ_MS: Final = 200
_LINGER_MS: Final = 20
"""So that a backlog is written in batches, and not record by record."""
_REQUEST_MS: Final = 10_000
"""How long a broker may take to answer; aiokafka's default is 40 s."""


async def create(kafka_url: str, partitions: dict[str, int]) -> None:
    """Make topics."""
    async with _admin(kafka_url) as admin:
        await admin.create_topics([NewTopic(topic, number, 1) for topic, number in partitions.items()])


async def create_at(kafka_url: str, topic: str, brokers: dict[int, list[int]]) -> None:
    """Make a topic whose partitions are kept by these brokers."""
    async with _admin(kafka_url) as admin:
        await admin.create_topics([NewTopic(topic, -1, -1, replica_assignments=brokers)])


async def end(kafka_url: str, topic: str) -> int:
    """Return the offset that the next record of a topic's only partition will get."""
    async with _consumer(kafka_url) as consumer:
        tp = TopicPartition(topic, 0)
        offset: int = (await consumer.end_offsets([tp]))[tp]
        return offset


async def partitions(kafka_url: str, topic: str) -> list[int]:
    """Return a topic's partitions."""
    async with _admin(kafka_url) as admin:
        [described] = await admin.describe_topics([topic])
        return sorted(partition["partition"] for partition in described["partitions"])


async def add_partitions(kafka_url: str, topic: str, added: int) -> int:
    """Add partitions to a topic, and return how many it has now."""
    count = len(await partitions(kafka_url, topic)) + added
    async with _admin(kafka_url) as admin:
        await admin.create_partitions({topic: NewPartitions(total_count=count)})
    return count


async def place(kafka_url: str, topic: str, partition: int, records: Iterable[tuple[bytes, int]]) -> None:
    """Write values to a partition, which may be a new one, each with its time in milliseconds."""
    producer = AIOKafkaProducer(bootstrap_servers=_brokers(kafka_url), acks="all", linger_ms=_LINGER_MS)
    await producer.start()
    try:
        async with asyncio.timeout(_REQUEST_MS / 1000):
            # A broker that has just been started again may not know a partition that was added just now.
            while partition not in await producer.partitions_for(topic):
                await asyncio.sleep(_READ_MS / 1000)
                await producer.client.force_metadata_update()
        sent = [await producer.send(topic, value, partition=partition, timestamp_ms=at) for value, at in records]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def cut(kafka_url: str, topic: str, *, before: int) -> None:
    """Remove a log's beginning, as retention does."""
    async with _admin(kafka_url) as admin:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=before)})


async def unreleased(kafka_url: str, topic: str, group: str) -> int:
    """Return how many records of a topic its group has not released."""
    tps = [TopicPartition(topic, partition) for partition in await partitions(kafka_url, topic)]
    async with _consumer(kafka_url, group) as consumer:
        ends = await consumer.end_offsets(tps)
        return sum([ends[tp] - (await consumer.committed(tp) or 0) for tp in tps])


async def dead_since(kafka_url: str, topic: str, offset: int) -> set[tuple[str, int]]:
    """Return the reasons and posts of the dead letters from an offset on; of poison the number that it bears."""
    letters: set[tuple[str, int]] = set()
    async with _consumer(kafka_url) as consumer:
        tp = TopicPartition(topic, 0)
        last = (await consumer.end_offsets([tp]))[tp]
        consumer.assign([tp])
        consumer.seek(tp, offset)
        while await consumer.position(tp) < last:
            for record in (await consumer.getmany(tp, timeout_ms=_READ_MS)).get(tp, ()):
                letter = decode_dead(record.value)
                letters.add((letter.reason, int(letter.body.removeprefix(POISON).split(maxsplit=1)[0])))
    return letters


def _brokers(kafka_url: str) -> list[str]:
    return [part.removeprefix("kafka://") for part in kafka_url.split(";")]


@asynccontextmanager
async def _consumer(kafka_url: str, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=_brokers(kafka_url),
        group_id=group,
        enable_auto_commit=False,
        request_timeout_ms=_REQUEST_MS,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def _admin(kafka_url: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=_brokers(kafka_url), request_timeout_ms=_REQUEST_MS)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()
