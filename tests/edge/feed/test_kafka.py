"""Reading a topic by a consumer in memory."""

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    UnsupportedCodecError,
)

from edge.feed.kafka import KafkaTopic, kafka_topic
from edge.feed.log import Log
from edge.feed.position import Gap
from edge.feed.topic import Unreachable, Unreadable
from runtime import kafka
from streams.contract import Offset
from tests.edge.kit.records import at, record

PARTITION = TopicPartition("posts.feed", 0)


class Consumer:
    """One that reads a list, two records at a time; ``refused`` reads have been tried again."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self.values = list(values)
        self.at = 0
        self.damaged = 0
        self.damage: BaseException | None = None
        self._client = SimpleNamespace(
            refused_reads=0,
            set_topics=list,
            force_metadata_update=self._update,
            cluster=SimpleNamespace(unauthorized_topics=set()),
        )

    async def _update(self) -> bool:
        return True

    def refuse(self) -> None:
        """Have a read fail that is tried again."""
        self._client.refused_reads += 1

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Take the partition."""
        assert list(partitions) == [PARTITION]

    def seek(self, _partition: TopicPartition, offset: int) -> None:
        """Go there."""
        self.at = offset

    async def getmany(self, *_: Any, max_records: int, **__: Any) -> Mapping[TopicPartition, Sequence[Any]]:
        """Return what is there."""
        begin, end = self.at, max(self.at, min(self.at + min(2, max_records), len(self.values)))
        if self.damage is not None and begin <= self.damaged < end:
            raise self.damage
        self.at = end
        found = [
            SimpleNamespace(offset=offset, value=self.values[offset], timestamp=7) for offset in range(begin, self.at)
        ]
        return {PARTITION: found} if found else {}

    async def position(self, _partition: TopicPartition) -> int:
        """Say where the next read begins."""
        return self.at

    def highwater(self, _partition: TopicPartition) -> int:
        """Say where the topic ends."""
        return len(self.values)

    def partitions_for_topic(self, _topic: str) -> set[int]:
        """Say that there is one."""
        return {0}

    def last_poll_timestamp(self, _partition: TopicPartition) -> int:
        """Say when a broker has answered."""
        return 0


async def read_into(log: Log, topic: KafkaTopic) -> list[Gap]:
    """Read on twice, as a source does; return the gaps."""
    gaps = []
    for _ in range(2):
        for raw in (await topic.read()).records:
            assert raw.timestamp == 7
            appended = log.append(*raw)
            if isinstance(appended, Gap):
                gaps.append(appended)
                return gaps
    return gaps


async def test_a_topic_that_is_made_anew_and_refilled_between_two_reads_is_noticed() -> None:
    """The client has tried again by itself, and has found a record where the next one was to be."""
    consumer = Consumer([record(1), record(2)])
    topic, log = KafkaTopic({}, "posts.feed", consumer, consumer), Log(limit=1 << 20, reach=10)
    log.begin(Offset(0), Offset(0))
    await topic.seek(Offset(0))
    assert await read_into(log, topic) == []
    consumer.values = [record(50), record(60), record(70)]
    consumer.refuse()
    assert await read_into(log, topic) == [Gap("recreated")]


async def test_a_read_that_was_refused_loses_and_repeats_nothing() -> None:
    """The newest record comes again, is the same, and the feed goes on; also before anything was read."""
    consumer = Consumer([record(number) for number in range(9)])
    topic, log = KafkaTopic({}, "posts.feed", consumer, consumer), Log(limit=1 << 20, reach=10)
    log.begin(Offset(2), Offset(2))
    await topic.seek(Offset(2))
    for _ in range(5):
        consumer.refuse()
        assert await read_into(log, topic) == []
    assert (log.next_offset, log.head) == (8, at(7, 1))
    assert await read_into(log, topic) == []
    assert (log.next_offset, log.head) == (9, at(8, 1))


@pytest.mark.parametrize("damage", [CorruptRecordException(), UnsupportedCodecError(), ValueError("not a batch")])
async def test_what_stands_before_a_damaged_batch_is_read_and_the_damage_is_named(damage: Exception) -> None:
    """What it took in the same read aiokafka drops. Nothing is missing when what is damaged goes."""
    consumer = Consumer([record(number) for number in range(9)])
    consumer.damaged, consumer.damage = 3, damage
    topic, log = KafkaTopic({}, "posts.feed", consumer, consumer), Log(limit=1 << 20, reach=10)
    log.begin(Offset(0), Offset(0))
    await topic.seek(Offset(0))
    with pytest.raises(Unreadable, match=type(damage).__name__):
        await asyncio.wait_for(read_on(log, topic, 9), 1)
    assert (log.next_offset, consumer.at) == (3, 3)
    consumer.damage = None
    await read_on(log, topic, 9)
    assert log.head == at(8, 1)


async def test_a_read_that_the_library_cancels_is_one_that_fails() -> None:
    """So it does when its consumer is closed: it must not end whoever reads without a word."""
    consumer = Consumer([record(1)])
    consumer.damage = asyncio.CancelledError()
    topic = KafkaTopic({}, "posts.feed", consumer, consumer)
    await topic.seek(Offset(0))
    with pytest.raises(Unreachable):
        await topic.read()


async def read_on(log: Log, topic: KafkaTopic, offset: int) -> None:
    """Read on until an offset."""
    while log.next_offset != offset:
        assert await read_into(log, topic) == []


async def test_a_broker_that_refuses_is_not_one_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own error does not tell them apart; a connection of our own does."""

    async def start(_consumer: AIOKafkaConsumer) -> None:
        raise KafkaConnectionError("Unable to bootstrap")

    async def connect(*_: Any, **__: Any) -> None:
        raise SaslAuthenticationFailed("invalid credentials")

    monkeypatch.setattr(AIOKafkaConsumer, "start", start)
    monkeypatch.setattr(kafka, "create_conn", connect)
    with pytest.raises(Unreachable, match=r"kafka:9092: .*invalid credentials") as raised:
        async with kafka_topic({"bootstrap_servers": ["kafka:9092"]}, "posts.feed"):
            pass
    assert raised.value.sentence == "Kafka refuses the user or the password."
