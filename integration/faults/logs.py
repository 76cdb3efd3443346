"""What Kafka's logs hold, asked of the broker itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete

from streams.contract import decode_dead

_READ_MS: Final = 200


async def create(kafka_url: str, partitions: dict[str, int]) -> None:
    """Make topics."""
    async with _admin(kafka_url) as admin:
        await admin.create_topics([NewTopic(topic, number, 1) for topic, number in partitions.items()])


async def end(kafka_url: str, topic: str) -> int:
    """Return the offset that the next record of a topic's only partition will get."""
    async with _consumer(kafka_url) as consumer:
        tp = TopicPartition(topic, 0)
        offset: int = (await consumer.end_offsets([tp]))[tp]
        return offset


async def cut(kafka_url: str, topic: str, *, before: int) -> None:
    """Remove a log's beginning, as retention does."""
    async with _admin(kafka_url) as admin:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=before)})


async def unreleased(kafka_url: str, topic: str, partitions: int, group: str) -> int:
    """Return how many records of a topic its group has not released."""
    async with _consumer(kafka_url, group) as consumer:
        tps = [TopicPartition(topic, number) for number in range(partitions)]
        ends = await consumer.end_offsets(tps)
        return sum([ends[tp] - (await consumer.committed(tp) or 0) for tp in tps])


async def dead_since(kafka_url: str, topic: str, offset: int) -> set[tuple[str, int]]:
    """Return the reasons and posts of the dead letters from an offset on."""
    letters: set[tuple[str, int]] = set()
    async with _consumer(kafka_url) as consumer:
        tp = TopicPartition(topic, 0)
        last = (await consumer.end_offsets([tp]))[tp]
        consumer.assign([tp])
        consumer.seek(tp, offset)
        while await consumer.position(tp) < last:
            for record in (await consumer.getmany(tp, timeout_ms=_READ_MS)).get(tp, ()):
                letter = decode_dead(record.value)
                letters.add((letter.reason, int(letter.body)))
    return letters


def _brokers(kafka_url: str) -> str:
    return urlsplit(kafka_url).netloc


@asynccontextmanager
async def _consumer(kafka_url: str, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=_brokers(kafka_url), group_id=group, enable_auto_commit=False)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def _admin(kafka_url: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=_brokers(kafka_url))
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()
