"""Kafka answers when the group's coordinator and the leaders do; whatever else they say, it does not."""

import asyncio
from collections import deque
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CoordinatorLoadInProgressError, GroupCoordinatorNotAvailableError, KafkaConnectionError
from aiokafka.protocol.admin import DescribeGroupsResponse_v1
from aiokafka.structs import TopicPartition

from streams import probe
from streams.probe import Probe
from tests import frozen
from tests.streams.doubles import Gate
from tests.streams.memory_kafka import SETTINGS, TOPIC, MemoryKafkaConsumer
from tests.streams.virtual import virtual


class MemoryAdmin(AIOKafkaAdminClient):  # type: ignore[misc] # it has no types
    """aiokafka's admin client, whose coordinator answers from memory: with ``codes``, a code for each answer."""

    made: ClassVar[list["MemoryAdmin"]] = []
    codes: ClassVar[list[int]] = [0]
    failures: ClassVar[deque[BaseException]] = deque()
    gate: ClassVar[Gate]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.settings = settings
        self.groups: list[str] = []
        self.closed = False
        self.made.append(self)

    async def start(self) -> None:
        if self.failures:
            raise self.failures.popleft()

    async def describe_consumer_groups(
        self,
        group_ids: list[str],
        group_coordinator_id: int | None = None,  # noqa: ARG002 - the client's
        include_authorized_operations: bool = False,  # noqa: ARG002 - likewise
    ) -> list[Any]:
        self.groups += group_ids
        await self.gate.passed()
        return [
            DescribeGroupsResponse_v1(throttle_time_ms=0, groups=[(code, group, "Stable", "consumer", "", [])])
            for group in group_ids
            for code in self.codes
        ]

    async def close(self) -> None:
        self.closed = True
        await super().close()


class MemoryLeaders(MemoryKafkaConsumer):
    """aiokafka's consumer of all partitions of its topics."""

    made: ClassVar[list["MemoryLeaders"]] = []
    failures_of_all: ClassVar[dict[str, Exception]] = {}
    silent_of_all: ClassVar[set[int]] = set()
    partitions: ClassVar[int] = 3

    def __init__(self, *topics: str, **settings: Any) -> None:
        super().__init__(*topics, **settings)
        self.topics_read = topics
        self.silent = self.silent_of_all
        self.made.append(self)

    async def start(self) -> None:
        if failure := self.failures_of_all.get("start"):
            raise failure
        await super().start()
        self._subscription.unsubscribe()
        self.assigned(
            *(TopicPartition(topic, number) for topic in self.topics_read for number in range(self.partitions))
        )

    async def end_offsets(self, partitions: Any) -> dict[TopicPartition, int]:
        if failure := self.failures_of_all.get("end_offsets"):
            raise failure
        return await super().end_offsets(partitions)


@pytest.fixture(autouse=True)
def _memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "AIOKafkaAdminClient", MemoryAdmin)
    monkeypatch.setattr(probe, "AIOKafkaConsumer", MemoryLeaders)
    for double in (MemoryAdmin, MemoryLeaders):
        monkeypatch.setattr(double, "made", [])
    monkeypatch.setattr(MemoryAdmin, "codes", [0])
    monkeypatch.setattr(MemoryAdmin, "failures", deque())
    monkeypatch.setattr(MemoryAdmin, "gate", Gate(), raising=False)
    monkeypatch.setattr(MemoryLeaders, "failures_of_all", {})
    monkeypatch.setattr(MemoryLeaders, "silent_of_all", set())
    monkeypatch.setattr(MemoryLeaders, "partitions", 3)


async def answers() -> bool:
    """Ask; whatever came of it, no connection may be left."""
    answer = await Probe(SETTINGS).answers()
    assert all(admin.closed for admin in MemoryAdmin.made)
    assert all(consumer._closed for consumer in MemoryLeaders.made)  # noqa: SLF001 - no public way
    return answer


@virtual
async def test_the_coordinator_of_our_group_and_the_leaders_of_all_partitions_are_asked() -> None:
    assert await answers()
    assert [admin.groups for admin in MemoryAdmin.made] == [["postcast"]]
    assert [consumer.topics_read for consumer in MemoryLeaders.made] == [(TOPIC,)]
    assert [consumer.asked for consumer in MemoryLeaders.made] == [[("end_offsets", [0, 1, 2])]]


@virtual
async def test_both_are_asked_with_the_workers_own_address_and_name() -> None:
    await answers()
    [admin], [consumer] = MemoryAdmin.made, MemoryLeaders.made
    assert admin.settings == consumer.settings == SETTINGS.kafka_client("postcast-worker")
    assert admin.settings["bootstrap_servers"] == ["one:9092", "two:9093"]


@pytest.mark.parametrize(
    "codes", [[GroupCoordinatorNotAvailableError.errno], [CoordinatorLoadInProgressError.errno], [0, 16]]
)
@virtual
async def test_a_coordinator_that_is_loading_or_is_none_does_not_answer(codes: list[int]) -> None:
    """It says so in the group's error code: nothing is raised."""
    MemoryAdmin.codes = codes
    assert not await answers()


@pytest.mark.parametrize(
    "failure",
    [KafkaConnectionError("away"), OSError("no such host"), TimeoutError(), asyncio.CancelledError()],
    ids=repr,
)
@virtual
async def test_a_cluster_that_cannot_be_reached_does_not_answer(failure: BaseException) -> None:
    """It may also be that aiokafka cancels what it waits for."""
    MemoryAdmin.failures.append(failure)
    assert not await answers()
    assert len(MemoryAdmin.made) == 1


@pytest.mark.parametrize("call", ["start", "end_offsets"])
@virtual
async def test_leaders_that_cannot_be_reached_do_not_answer(call: str) -> None:
    MemoryLeaders.failures_of_all[call] = KafkaConnectionError("away")
    assert not await answers()
    assert len(MemoryLeaders.made) == 1


@virtual
async def test_a_topic_without_partitions_does_not_answer() -> None:
    """So it looks when it was deleted, and a consumer that waits for it waits with reason."""
    MemoryLeaders.partitions = 0
    assert not await answers()


@virtual
async def test_a_coordinator_that_is_silent_is_waited_for_five_seconds() -> None:
    loop, begin = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    MemoryAdmin.gate.shut()
    assert not await answers()
    assert loop.time() - begin == pytest.approx(5)
    assert MemoryLeaders.made == []


@virtual
async def test_one_leader_that_is_silent_is_enough_for_no() -> None:
    """Both questions share the five seconds."""
    loop, begin = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    MemoryLeaders.silent_of_all.add(1)
    MemoryAdmin.gate.shut()
    loop.call_later(4, MemoryAdmin.gate.open)
    assert not await answers()
    assert loop.time() - begin == pytest.approx(5)
    assert len(MemoryLeaders.made) == 1


@virtual
async def test_a_defect_is_no_answer_of_kafkas() -> None:
    """It is the watchdog's to log."""
    MemoryLeaders.failures_of_all["end_offsets"] = ZeroDivisionError("a defect")
    with pytest.raises(ZeroDivisionError, match="a defect"):
        await answers()


async def test_kafka_that_is_frozen_does_not_answer_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By TLS it took half a minute more until the connections were closed."""
    monkeypatch.undo()
    monkeypatch.setattr(probe, "_ANSWER_SECONDS", 1.0)
    authority = frozen.Authority(tmp_path)
    async with frozen.kafka({TOPIC: 1}, authority.server()) as broker, asyncio.timeout(15):
        assert not await Probe(SETTINGS.model_copy(update=frozen.reaching(broker, authority))).answers()
