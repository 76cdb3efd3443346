"""The worker in its consumer group, on the pinned Faust and aiokafka: only what brokers would say is made up."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiokafka.errors import IllegalStateError, KafkaConnectionError, NotLeaderForPartitionError
from aiokafka.structs import TopicPartition
from faust.types import TP

from streams.contract import Offset, Partition
from streams.group import Group
from streams.positions import Passed
from tests.streams.doubles import turns
from tests.streams.memory_kafka import SETTINGS, TOPIC, Reading, reading
from tests.streams.virtual import virtual
from tests.streams.worker_app import create

P0, P1, P2 = map(Partition, range(3))


def offsets(**by_name: int) -> dict[Partition, Offset]:
    """Return offsets by partition: ``p0=1``."""
    return {Partition(int(name.removeprefix("p"))): Offset(offset) for name, offset in by_name.items()}


async def positions(bench: Reading) -> dict[int, int]:
    return {tp.partition: await bench.kafka.position(tp) for tp in sorted(bench.kafka.assignment())}


@contextmanager
def takes(seconds: float) -> Iterator[None]:
    """Hold that what is inside takes so long."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    yield
    assert loop.time() - begin == pytest.approx(seconds)


# -- what the consumer knows ---------------------------------------------------------------------


@virtual
async def test_the_generation_is_that_of_the_latest_rebalance() -> None:
    """As it stands on each record, too."""
    async with reading() as bench:
        bench.app.consumer_generation_id = 7
        assert bench.group.generation == 7
        bench.kafka.fetched(0, [0])
        [record] = (await bench.thread.getmany({TP(TOPIC, 0)}, 0.0))[TP(TOPIC, 0)]
        assert bench.consumer._to_message(TP(TOPIC, 0), record).generation_id == 7  # noqa: SLF001 - Faust's


@virtual
async def test_the_high_water_mark_is_that_of_the_last_fetch() -> None:
    async with reading() as bench:
        assert bench.group.highwater(P0) is None
        bench.kafka.fetched(0, [0, 1], end=40)
        assert (bench.group.highwater(P0), bench.group.highwater(P1)) == (Offset(40), None)


@virtual
async def test_a_partition_that_is_not_ours_any_more_has_no_high_water_mark() -> None:
    async with reading() as bench:
        bench.kafka.fetched(0, [0])
        bench.kafka.assigned(TopicPartition(TOPIC, 1))
        assert bench.group.highwater(P0) is None


@virtual
async def test_how_far_a_partition_was_handed_over_is_known_across_threads() -> None:
    async with reading() as bench:
        assert bench.group.passed(P0) is None
        bench.kafka.fetched(0, [3, 4])
        await bench.hand_over(partitions=[0, 1])
        assert bench.group.passed(P0) == Passed(Offset(3), Offset(5), Offset(5))


@virtual
async def test_a_partition_is_leaderless_when_no_broker_leads_it_or_none_is_known() -> None:
    async with reading() as bench:
        bench.kafka.lead({0: 0, 1: -1})
        assert bench.group.leaderless([P0, P1, P2]) == {P1, P2}
        assert bench.group.leaderless([P0]) == frozenset()
        bench.kafka.lead({0: 0}, topic="posts.feed")
        assert bench.group.leaderless([P0]) == {P0}


async def test_before_the_consumer_has_started_nothing_is_leaderless() -> None:
    """The flow asks from its start on, and has no partitions then."""
    app = create(SETTINGS)
    assert Group(app, TOPIC).leaderless([]) == frozenset()
    app.consumer._thread.thread_loop.close()  # type: ignore[attr-defined] # noqa: SLF001 - it never ran


@virtual
async def test_a_pause_is_of_these_partitions_and_no_others() -> None:
    async with reading() as bench:
        bench.kafka.fetched(0, [0])
        bench.kafka.fetched(1, [0])
        bench.group.pause([P0])
        assert await bench.hand_over(partitions=[0, 1]) == {1: [0]}
        bench.group.pause([P1])
        assert await bench.hand_over(partitions=[0, 1]) == {0: [0]}


# -- where reading begins ------------------------------------------------------------------------


@virtual
async def test_reading_begins_at_what_is_committed_or_at_the_oldest_record_left() -> None:
    async with reading(3) as bench:
        bench.kafka.committed_offsets = {0: 50, 1: 10}
        bench.kafka.first = {0: 20, 1: 30}
        bench.kafka.fetched(2, [0])
        await bench.hand_over(partitions=[0, 1, 2])
        assert await bench.group.begin() == offsets(p0=50, p1=30, p2=0)
        assert await positions(bench) == {0: 50, 1: 30, 2: 0}
        # What was handed over before belongs to another reading.
        assert bench.group.passed(P2) is None


@virtual
async def test_only_partitions_of_the_own_topic_are_sought() -> None:
    async with reading() as bench:
        other = TopicPartition("another", 9)
        bench.kafka.assigned(TopicPartition(TOPIC, 0), other)
        bench.kafka.seek(other, 9)
        assert await bench.group.begin() == offsets(p0=0)
        assert await bench.kafka.position(other) == 9


@virtual
async def test_a_partition_without_a_leader_begins_at_what_is_committed() -> None:
    """Where aiokafka finds nothing any more it goes to the oldest record by itself."""
    async with reading() as bench:
        bench.kafka.committed_offsets, bench.kafka.first = {0: 5, 1: 6}, {0: 8, 1: 8}
        bench.kafka.lead({0: 0, 1: -1})
        assert await bench.group.begin() == offsets(p0=8, p1=6)
        assert ("beginning_offsets", [0]) in bench.kafka.asked


@virtual
async def test_while_the_coordinator_is_away_nothing_is_sought() -> None:
    async with reading() as bench:
        bench.kafka.committed_offsets = {0: 5, 1: 6}
        bench.kafka.failures["committed"].append(KafkaConnectionError("away"))
        with pytest.raises(KafkaConnectionError, match="away"):
            await bench.group.begin()
        assert await positions(bench) == {0: 0, 1: 0}
        assert await bench.group.begin() == offsets(p0=5, p1=6)


@virtual
async def test_a_coordinator_that_does_not_answer_is_waited_for_ten_seconds() -> None:
    async with reading() as bench:
        bench.kafka.silent = {1}
        with takes(10), pytest.raises(TimeoutError):
            await bench.group.begin()
        assert await positions(bench) == {0: 0, 1: 0}


@virtual
async def test_a_seek_waits_for_what_is_being_handed_over() -> None:
    """Else what was under way would come after it, and count as read from there."""
    async with reading() as bench:
        handing = asyncio.create_task(bench.hand_over(1.0, partitions=[0, 1]))
        await turns()
        seeking = asyncio.create_task(bench.group.seek(P0, Offset(30)))
        await turns()
        assert await positions(bench) == {0: 0, 1: 0}
        bench.kafka.fetched(0, [0])
        assert await handing == {0: [0]}
        await seeking
        assert await positions(bench) == {0: 30, 1: 0}
        assert bench.group.passed(P0) is None
        assert bench.group.passed(P1) == Passed(None, None, Offset(0))


@virtual
async def test_what_was_fetched_before_a_seek_is_not_handed_over_after_it() -> None:
    async with reading() as bench:
        bench.kafka.fetched(0, range(600))
        await bench.hand_over(partitions=[0, 1])
        await bench.group.seek(P0, Offset(10))
        assert await bench.hand_over(partitions=[0, 1]) == {}
        bench.kafka.fetched(0, [10, 11])
        assert await bench.hand_over(partitions=[0, 1]) == {0: [10, 11]}


@virtual
async def test_a_partition_that_is_not_ours_cannot_be_sought() -> None:
    async with reading() as bench:
        with pytest.raises(IllegalStateError):
            await bench.group.seek(P2, Offset(0))


@virtual
async def test_a_topic_that_was_made_anew_is_committed_at_its_beginning() -> None:
    async with reading() as bench:
        bench.kafka.committed_offsets, bench.kafka.first = {0: 5000, 1: 6000}, {0: 3}
        await bench.group.begin_anew(P0)
        assert bench.kafka.committed_offsets == {0: 3, 1: 6000}


# -- what Kafka is asked -------------------------------------------------------------------------


@virtual
async def test_what_was_never_committed_is_zero() -> None:
    async with reading() as bench:
        bench.kafka.committed_offsets = {1: 7}
        assert [await bench.group.committed(p) for p in (P0, P1)] == [Offset(0), Offset(7)]


@virtual
async def test_all_partitions_that_are_led_are_asked_for_at_once() -> None:
    async with reading(3) as bench:
        bench.kafka.first, bench.kafka.end = {0: 1, 1: 2}, {0: 10, 1: 20}
        bench.kafka.lead({0: 0, 1: 0, 2: -1})
        assert await bench.group.earliest([P0, P1, P2]) == offsets(p0=1, p1=2)
        assert await bench.group.ends([P0, P1, P2]) == offsets(p0=10, p1=20)
        assert bench.kafka.asked == [("beginning_offsets", [0, 1]), ("end_offsets", [0, 1])]


@virtual
async def test_where_no_partition_is_led_nobody_is_asked() -> None:
    async with reading() as bench:
        bench.kafka.lead({0: -1, 1: -1})
        assert await bench.group.ends([P0, P1]) == {}
        assert await bench.group.ends([]) == {}
        assert bench.kafka.asked == []


@virtual
async def test_what_is_not_answered_for_all_is_asked_for_each_alone() -> None:
    async with reading(3) as bench:
        bench.kafka.end = {0: 10, 1: 20, 2: 30}
        bench.kafka.failures["end_offsets"].append(NotLeaderForPartitionError())
        assert await bench.group.ends([P0, P1, P2]) == offsets(p0=10, p1=20, p2=30)
        assert sorted(numbers for _, numbers in bench.kafka.asked) == [[0], [0, 1, 2], [1], [2]]


@virtual
async def test_a_leader_that_does_not_answer_costs_two_seconds_twice_and_hides_no_other() -> None:
    async with reading(3) as bench:
        bench.kafka.end = {0: 10, 1: 20, 2: 30}
        bench.kafka.silent = {1}
        with takes(4):
            assert await bench.group.ends([P0, P1, P2]) == offsets(p0=10, p2=30)


@virtual
async def test_when_no_leader_answers_nothing_is_known() -> None:
    async with reading() as bench:
        bench.kafka.failures["beginning_offsets"].extend([KafkaConnectionError()] * 3)
        assert await bench.group.earliest([P0, P1]) == {}


@virtual
async def test_what_is_committed_is_the_next_offset_by_partition() -> None:
    async with reading() as bench:
        await bench.group.commit(offsets(p0=4, p1=9))
        assert bench.kafka.committed_offsets == {0: 4, 1: 9}
        assert bench.kafka.asked == [("commit", [0, 1])]


@virtual
async def test_a_commit_that_fails_is_the_callers_business() -> None:
    async with reading() as bench:
        bench.kafka.failures["commit"].append(KafkaConnectionError("away"))
        with pytest.raises(KafkaConnectionError, match="away"):
            await bench.group.commit(offsets(p0=4))
        assert bench.kafka.committed_offsets == {}
        assert not bench.app.crashed


@virtual
async def test_a_commit_that_is_not_answered_ends_in_ten_seconds_there_too() -> None:
    """Else those that are given up would be sent when the broker is back, behind newer ones."""
    async with reading() as bench:
        bench.kafka.gates["commit"].shut()
        with takes(10), pytest.raises(TimeoutError):
            await bench.group.commit(offsets(p0=4))
        await turns()
        assert bench.kafka.cancelled == ["commit"]
        bench.kafka.gates["commit"].open()
        await turns()
        assert bench.kafka.committed_offsets == {}


@virtual
async def test_two_questions_without_an_answer_keep_no_third_waiting() -> None:
    """Faust's own queue to the thread has two places."""
    async with reading() as bench:
        bench.kafka.gates["end_offsets"].shut()
        asking = [asyncio.create_task(bench.group.ends([p])) for p in (P0, P1, P0)]
        await turns()
        await bench.group.commit(offsets(p0=4))
        assert bench.kafka.committed_offsets == {0: 4}
        bench.kafka.gates["end_offsets"].open()
        await asyncio.gather(*asking)


async def test_a_question_is_asked_in_the_consumers_thread() -> None:
    """Its client belongs to one event loop."""
    app = create(SETTINGS)
    faust_thread = app.consumer._thread  # type: ignore[attr-defined] # noqa: SLF001 - as Group does
    asked_in: list[int] = []

    class Asked:
        async def committed(self, partition: TopicPartition) -> int:
            asked_in.append(threading.get_ident())
            return 10 + int(partition.partition)

    faust_thread._consumer = Asked()  # noqa: SLF001 - what Faust's on_start does
    thread = threading.Thread(target=faust_thread.thread_loop.run_forever)
    thread.start()
    try:
        assert await Group(app, TOPIC).committed(P1) == Offset(11)
        assert asked_in == [thread.ident]
    finally:
        faust_thread.thread_loop.call_soon_threadsafe(faust_thread.thread_loop.stop)
        thread.join()
        faust_thread.thread_loop.close()
