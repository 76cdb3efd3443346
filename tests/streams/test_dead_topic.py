"""The letters that are not done, found in two readings. Reading Kafka is tested in integration/, but for a refusal."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from streams import dead_topic as module
from streams.contract import Partition, dead_letter, encode_dead
from streams.dead import DISMISSED, REQUEUED, Letter
from streams.dead_topic import DeadTopic, Unreachable, dead_topic, outstanding
from tests import frozen
from tests.streams.dead_letters import GROUPED, MISSING, POISON, MemoryTopic, at
from tests.streams.memory_kafka import SETTINGS

LETTERS = [encode_dead(letter) for letter in (MISSING, POISON, GROUPED)]


async def unfinished(topic: MemoryTopic) -> list[Letter]:
    return [letter async for letter in outstanding(topic, lambda: None)]


async def test_a_letter_is_outstanding_until_a_mark_names_it() -> None:
    topic = MemoryTopic([*LETTERS, encode_dead(dead_letter(REQUEUED, "", b"0"))])
    assert [letter.place for letter in await unfinished(topic)] == [at(1), at(2)]
    again = MemoryTopic([*topic.values[0], encode_dead(dead_letter(DISMISSED, "", b"2")), topic.values[0][-1]])
    assert [letter.place for letter in await unfinished(again)] == [at(1)]


async def test_letters_of_every_partition_are_found_and_a_mark_in_partition_0_may_name_any() -> None:
    topic = MemoryTopic([encode_dead(dead_letter(REQUEUED, "", b"2:1"))], LETTERS, LETTERS)
    assert [letter.place for letter in await unfinished(topic)] == [at(0, 1), at(1, 1), at(2, 1), at(0, 2), at(2, 2)]


async def test_each_record_is_counted_in_both_readings() -> None:
    topic, read = MemoryTopic(LETTERS), []
    [_ async for _ in outstanding(topic, lambda: read.append(1))]
    assert (topic.readings, len(read)) == (2, 6)


class Refusing:
    """A consumer whose reads a broker refuses."""

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Take what there is to read."""

    async def getmany(self, *partitions: TopicPartition, **_: int) -> NoReturn:
        raise TopicAuthorizationFailedError(partitions[0].topic)


class Away:
    """A consumer that finds no broker, and whose stop ends with what it cancels itself."""

    def __init__(self, **_: object) -> None:
        self._client = self

    async def stop(self) -> None:
        raise asyncio.CancelledError

    async def close(self) -> None:
        """Close what is beneath."""


async def test_a_stop_that_cancels_itself_does_not_hide_why_kafka_is_not_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def no_broker(_: object) -> NoReturn:
        raise OSError("no such host")

    monkeypatch.setattr(module, "AIOKafkaConsumer", Away)
    monkeypatch.setattr(module, "_partitions", no_broker)
    with pytest.raises(Unreachable, match="no such host"):
        async with dead_topic(SETTINGS):
            pass


async def test_a_read_that_kafka_refuses_is_a_sentence() -> None:
    """To see a topic is one right, and to read it another."""
    topic = DeadTopic(cast("AIOKafkaConsumer", Refusing()), "posts.dead", [Partition(0)])
    with pytest.raises(Unreachable) as raised:
        [_ async for _ in topic.records()]
    assert str(raised.value) == "partition 0 of posts.dead: [Error 29] TopicAuthorizationFailedError: posts.dead"


async def test_kafka_that_freezes_is_left_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By TLS it took half a minute more until the connections were closed."""
    monkeypatch.setattr(module, "_SILENCE_SECONDS", 1.0)
    authority = frozen.Authority(tmp_path)
    async with frozen.kafka({SETTINGS.dead_topic: 1}, authority.server()) as broker, asyncio.timeout(15):
        with pytest.raises(Unreachable, match="does not answer"):
            async with dead_topic(SETTINGS.model_copy(update=frozen.reaching(broker, authority))) as topic:
                [_ async for _ in topic.records()]
