"""Confirmed writes on a real Kafka; their double in memory keeps the same contract."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.partitioner import murmur2
from aiokafka.producer import sender
from aiokafka.protocol.produce import ProduceRequest

from integration import topics
from integration.services import Services
from streams.contract import MAX_IDS, PostId, decode_created
from streams.progress import Progress, Stage
from streams.publisher import MAX_RECORD_BYTES, Publisher, Publishes, TooLarge
from streams.settings import Settings
from tests.streams.doubles import MemoryPublisher, Written


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


@pytest.fixture
def stage() -> Stage:
    return Progress(time.monotonic).stage("publish")


async def started(settings: Settings, stage: Stage) -> Publisher:
    publisher = Publisher(settings)
    with stage.work() as work:
        await publisher.start(work)
    return publisher


@pytest.fixture(params=["kafka", "memory"])
async def publisher(request: pytest.FixtureRequest, settings: Settings, stage: Stage) -> AsyncIterator[Publishes]:
    if request.param == "memory":
        yield MemoryPublisher(
            created_topic=settings.created_topic, feed_topic=settings.feed_topic, partitions=settings.created_partitions
        )
        return
    real = await started(settings, stage)
    yield real
    await real.stop()


async def records(publisher: Publishes, settings: Settings, topic: str) -> list[Written]:
    """Return what stands on a topic, partition after partition, each in its order."""
    if isinstance(publisher, MemoryPublisher):
        return sorted((r for r in publisher.records if r.topic == topic), key=lambda record: record.partition)
    return await logs(settings, topic)


async def logs(settings: Settings, topic: str) -> list[Written]:
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=settings.kafka_servers, auto_offset_reset="earliest"
    ) as consumer:
        tps = sorted(consumer.assignment())
        ends = await consumer.end_offsets(tps)
        parts: dict[TopicPartition, list[Written]] = {tp: [] for tp in tps}
        while any(len(parts[tp]) < ends[tp] for tp in tps):
            for tp, some in (await consumer.getmany(timeout_ms=200)).items():
                parts[tp] += [Written(topic, tp.partition, record.key, record.value) for record in some]
    return [record for tp in tps for record in parts[tp]]


async def publish(publisher: Publishes, stage: Stage, topic: str, *values: bytes) -> None:
    with stage.work() as work:
        await publisher.publish(topic, values, work)
        assert work.waiting is None


async def test_what_is_written_one_after_the_other_stands_in_that_order(
    publisher: Publishes, settings: Settings, stage: Stage
) -> None:
    for number in range(20):
        await publish(publisher, stage, settings.feed_topic, b"%d" % number)
    wanted = [Written(settings.feed_topic, 0, None, b"%d" % number) for number in range(20)]
    assert await records(publisher, settings, settings.feed_topic) == wanted
    # Every confirmation is progress.
    assert stage.progressed >= 40


async def test_more_than_one_batch_holds_is_written_in_its_order(
    publisher: Publishes, settings: Settings, stage: Stage
) -> None:
    wanted = [b"%03d" % n + b"x" * 300_000 for n in range(10)]
    await publish(publisher, stage, settings.feed_topic, *wanted)
    assert [record.value for record in await records(publisher, settings, settings.feed_topic)] == wanted


async def test_ids_stand_in_their_partitions_a_thousand_in_a_record(
    publisher: Publishes, settings: Settings, stage: Stage
) -> None:
    ids = [PostId(post) for post in range(1, 5001)]
    with stage.work() as work:
        await publisher.announce(ids, 2, work)
        await publisher.announce([PostId(7)], 0, work)
    written = await records(publisher, settings, settings.created_topic)
    found: dict[int, list[int]] = {}
    for record in written:
        created = decode_created(record.value)
        assert len(created.ids) <= MAX_IDS
        assert record.key == (b"7" if created.ids == (7,) else None)
        found.setdefault(record.partition, []).extend(created.ids)
    for partition, there in found.items():
        assert [(murmur2(b"%d" % post) & 0x7FFFFFFF) % 3 for post in there] == [partition] * len(there)
    assert sorted(post for there in found.values() for post in there) == sorted([*ids, 7])
    # In the order in which they arrived, and the second 7 last.
    assert all(
        there == sorted(there) or (there[:-1] == sorted(there[:-1]) and there[-1] == 7) for there in found.values()
    )
    assert {decode_created(record.value).attempt for record in written} == {0, 2}
    assert len(written) <= 3 * 2 + 1


async def test_a_record_that_kafka_would_refuse_is_too_large(
    publisher: Publishes, settings: Settings, stage: Stage
) -> None:
    with pytest.raises(TooLarge):
        await publish(publisher, stage, settings.feed_topic, b"x" * (MAX_RECORD_BYTES + 1000))
    await publish(publisher, stage, settings.feed_topic, b"y" * (MAX_RECORD_BYTES // 2))
    [record] = await records(publisher, settings, settings.feed_topic)
    assert record.value == b"y" * (MAX_RECORD_BYTES // 2)


async def test_nothing_to_write_is_nothing(publisher: Publishes, settings: Settings, stage: Stage) -> None:
    with stage.work() as work:
        await publisher.publish(settings.dead_topic, [], work)
        await publisher.announce([], 0, work)
    assert await records(publisher, settings, settings.dead_topic) == []


async def _created_with(settings: Settings, topic: str, partitions: int = 1, **configs: str) -> None:
    await topics.create(settings.kafka_url, {topic: partitions}, **configs)


def _real(services: Services) -> None:
    if not services.kafka.durable:
        pytest.skip("this broker keeps no topic's configuration")


async def test_the_feed_goes_to_partition_0_whatever_becomes_of_the_topic(
    services: Services, settings: Settings, stage: Stage
) -> None:
    """L4: no edge looks at another partition."""
    _real(services)
    publisher = await started(settings, stage)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_servers)
    await admin.start()
    await admin.create_partitions({settings.feed_topic: NewPartitions(4)})
    await admin.create_partitions({settings.created_topic: NewPartitions(8)})
    await admin.close()
    # Partitions of posts.created that were added are used, as soon as the broker tells of them.
    async with asyncio.timeout(60):
        while {record.partition for record in await logs(settings, settings.created_topic)} != set(range(8)):
            with stage.work() as work:
                await publisher.announce([PostId(post) for post in range(1, 101)], 0, work)
    for number in range(12):
        await publish(publisher, stage, settings.feed_topic, b"%d" % number)
    await publisher.stop()
    assert {record.partition for record in await logs(settings, settings.feed_topic)} == {0}


async def test_a_batch_above_the_topics_limit_is_written_record_by_record_and_a_record_is_too_large(
    services: Services, settings: Settings, stage: Stage
) -> None:
    """L2: a limit of the operator's that is smaller than ours."""
    _real(services)
    await _created_with(settings, settings.feed_topic, max_message_bytes="2000")
    await _created_with(settings, settings.dead_topic, max_message_bytes="2000")
    publisher = await started(settings, stage)
    small = [secrets.token_bytes(1500) for _ in range(5)]
    await publish(publisher, stage, settings.feed_topic, *small)
    with pytest.raises(TooLarge):
        await publish(publisher, stage, settings.feed_topic, secrets.token_bytes(3000))
    # A dead letter has nowhere else to go: it waits, and says for what.
    with stage.work() as work:
        writing = asyncio.create_task(publisher.publish(settings.dead_topic, [secrets.token_bytes(3000)], work))
        async with asyncio.timeout(30):
            while work.waiting is None:
                await asyncio.sleep(0.05)
        assert work.waiting == (
            "kafka",
            f"Kafka takes no records as large as those for {settings.dead_topic}: raise its max.message.bytes",
        )
        # M1: other topics can be written to meanwhile, and that does not end what this work waits for.
        with stage.work() as other:
            await publisher.announce([PostId(1)], 0, other)
            assert other.waiting is None
        assert work.waiting is not None
        assert not writing.done()
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_servers)
        await admin.start()
        await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, settings.dead_topic, {"max.message.bytes": "100000"})]
        )
        await admin.close()
        async with asyncio.timeout(30):
            await writing
    await publisher.stop()
    assert [record.value for record in await logs(settings, settings.feed_topic)] == small


async def test_every_write_asks_for_the_confirmation_of_all_replicas_in_sync(
    settings: Settings, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """acks="all", as it goes out to Kafka. What it is worth needs several brokers: integration/cluster."""
    sent: list[int] = []

    class Watched(ProduceRequest):  # type: ignore[misc]  # aiokafka has no types
        def __init__(self, **values: Any) -> None:
            sent.append(values["required_acks"])
            super().__init__(**values)

    monkeypatch.setattr(sender, "ProduceRequest", Watched)
    publisher = await started(settings, stage)
    await publish(publisher, stage, settings.feed_topic, b"one")
    await publish(publisher, stage, settings.dead_topic, b"two")
    with stage.work() as work:
        await publisher.announce([PostId(1), PostId(2)], 0, work)
    await publisher.stop()
    assert len(sent) >= 3
    assert set(sent) == {-1}


async def test_a_write_waits_for_a_kafka_that_is_away(services: Services, settings: Settings, stage: Stage) -> None:
    publisher = await started(settings, stage)
    await publish(publisher, stage, settings.feed_topic, b"before")
    await asyncio.to_thread(services.kafka.pause)
    with stage.work() as work:
        try:
            writing = asyncio.create_task(publisher.publish(settings.feed_topic, [b"meanwhile"], work))
            async with asyncio.timeout(30):
                while work.waiting is None:
                    await asyncio.sleep(0.1)
            assert not writing.done()
        finally:
            await asyncio.to_thread(services.kafka.resume)
        async with asyncio.timeout(30):
            await writing
        assert work.waiting is None
    await publisher.stop()
    # What was sent before the pause ended may stand twice (law 2 is for that), and is never missing.
    values = [record.value for record in await logs(settings, settings.feed_topic)]
    assert values[0] == b"before"
    assert set(values[1:]) == {b"meanwhile"}
