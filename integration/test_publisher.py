"""Confirmed writes on a real Kafka; their double in memory keeps the same contract."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from integration.services import Services
from streams.publisher import MAX_RECORD_BYTES, Keyed, Publisher, Publishes, TooLarge
from streams.settings import Settings
from streams.telemetry import Health
from streams.topics import WrongTopic, declare_topics
from tests.streams.doubles import MemoryPublisher


@pytest.fixture
def settings(services: Services) -> Settings:
    mark = secrets.token_hex(4)
    return Settings.model_validate(
        {
            "amqp_url": "amqp://broker",
            "database_url": "postgres://database",
            "kafka_url": services.kafka.url,
            "created_topic": f"created.{mark}",
            "feed_topic": f"feed.{mark}",
            "dead_topic": f"dead.{mark}",
            "created_partitions": 3,
        }
    )


@pytest.fixture(params=["kafka", "memory"])
async def publisher(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Publishes]:
    if request.param == "memory":
        yield MemoryPublisher()
        return
    real = Publisher(settings, Health())
    await real.start()
    yield real
    await real.stop()


async def records(publisher: Publishes, settings: Settings, topic: str) -> list[tuple[bytes | None, bytes]]:
    if isinstance(publisher, MemoryPublisher):
        return [(key, value) for name, key, value in publisher.records if name == topic]
    return [record for part in await logs(settings, topic) for record in part]


async def logs(settings: Settings, topic: str) -> list[list[tuple[bytes | None, bytes]]]:
    """Return the records of each partition, by its number."""
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=settings.kafka_servers, auto_offset_reset="earliest"
    ) as consumer:
        tps = sorted(consumer.assignment(), key=lambda tp: int(tp.partition))
        ends = await consumer.end_offsets(tps)
        parts: dict[TopicPartition, list[tuple[bytes | None, bytes]]] = {tp: [] for tp in tps}
        while any(len(parts[tp]) < ends[tp] for tp in tps):
            for tp, some in (await consumer.getmany(timeout_ms=200)).items():
                parts[tp] += [(record.key, record.value) for record in some]
    return [parts[tp] for tp in tps]


async def test_what_is_written_one_after_the_other_stands_in_that_order(
    publisher: Publishes, settings: Settings
) -> None:
    for number in range(20):
        await publisher.publish(settings.feed_topic, [(None, b"%d" % number)])
    assert await records(publisher, settings, settings.feed_topic) == [(None, b"%d" % n) for n in range(20)]


async def test_all_that_is_written_at_once_is_there_when_the_last_is_confirmed(
    publisher: Publishes, settings: Settings
) -> None:
    wanted: list[Keyed] = [(b"%d" % n, b"value %d" % n) for n in range(2000)]
    await publisher.publish(settings.created_topic, wanted)
    assert sorted(await records(publisher, settings, settings.created_topic)) == sorted(wanted)


async def test_a_record_that_kafka_would_refuse_is_too_large(publisher: Publishes, settings: Settings) -> None:
    with pytest.raises(TooLarge):
        await publisher.publish(settings.feed_topic, [(None, b"x" * (MAX_RECORD_BYTES + 1))])
    await publisher.publish(settings.feed_topic, [(None, b"y" * (MAX_RECORD_BYTES // 2))])
    assert await records(publisher, settings, settings.feed_topic) == [(None, b"y" * (MAX_RECORD_BYTES // 2))]


async def test_more_than_one_batch_holds_is_written_in_its_order(publisher: Publishes, settings: Settings) -> None:
    wanted: list[Keyed] = [(None, b"%03d" % n + b"x" * 300_000) for n in range(10)]
    await publisher.publish(settings.feed_topic, wanted)
    assert await records(publisher, settings, settings.feed_topic) == wanted


async def test_a_key_has_its_partition_and_the_topics_their_numbers(settings: Settings) -> None:
    publisher = Publisher(settings, Health())
    await publisher.start()
    for _ in range(3):
        await publisher.publish(settings.created_topic, [(b"%d" % post, b"x") for post in range(30)])
    await publisher.stop()
    parts = await logs(settings, settings.created_topic)
    assert len(parts) == 3
    where = [{key for key, _ in part} for part in parts]
    assert sum(map(len, where)) == 30
    assert len(await logs(settings, settings.feed_topic)) == 1
    assert len(await logs(settings, settings.dead_topic)) == 1


async def test_a_feed_of_several_partitions_is_refused_with_what_to_do(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_servers)
    await admin.start()
    await admin.create_topics([NewTopic(settings.feed_topic, 2, 1)])
    await admin.close()
    with pytest.raises(WrongTopic, match=f"topic {settings.feed_topic} has 2 partitions and must have one"):
        await declare_topics(settings)


async def test_a_write_waits_for_a_kafka_that_is_away(services: Services, settings: Settings) -> None:
    health = Health()
    publisher = Publisher(settings, health)
    await publisher.start()
    await publisher.publish(settings.feed_topic, [(None, b"before")])
    await asyncio.to_thread(services.kafka.pause)
    try:
        writing = asyncio.create_task(publisher.publish(settings.feed_topic, [(None, b"meanwhile")]))
        async with asyncio.timeout(30):
            while "kafka" not in health.problems:
                await asyncio.sleep(0.1)
        assert not writing.done()
    finally:
        await asyncio.to_thread(services.kafka.resume)
    async with asyncio.timeout(30):
        await writing
    assert health.problems == {}
    await publisher.stop()
    # What was sent before the pause ended may stand twice (law 2 is for that), and is never missing.
    values = [value for _, value in await records(publisher, settings, settings.feed_topic)]
    assert values[0] == b"before"
    assert set(values[1:]) == {b"meanwhile"}
