"""Each partition gets its turn, a pause loses nothing, and positions are ours; on the pinned Faust and aiokafka."""

import asyncio
import inspect
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP
from mode import Service

from streams.contract import Offset, Partition
from streams.kafka_consumer import ConsumerThread
from streams.positions import Passed
from tests.streams.doubles import turns
from tests.streams.memory_kafka import TOPIC, MemoryKafkaConsumer, Reading, reading
from tests.streams.virtual import virtual


def loop_time() -> float:
    return asyncio.get_running_loop().time()


def passed(bench: Reading) -> dict[int, Passed]:
    return {tp.partition: passed for tp, passed in bench.thread.passed.items()}


@virtual
async def test_a_backlog_leaves_the_other_partitions_their_turn() -> None:
    async with reading(3) as bench:
        bench.kafka.fetched(0, range(1200))
        bench.kafka.fetched(1, range(600))
        bench.kafka.fetched(2, range(3))
        everything = [0, 1, 2]
        assert await bench.hand_over(partitions=everything) == {
            0: list(range(500)),
            1: list(range(500)),
            2: [0, 1, 2],
        }
        bench.kafka.fetched(2, [3])
        assert await bench.hand_over(partitions=everything) == {
            0: list(range(500, 1000)),
            1: list(range(500, 600)),
            2: [3],
        }
        assert await bench.hand_over(partitions=everything) == {0: list(range(1000, 1200))}
        assert await bench.hand_over(partitions=everything) == {}


@virtual
async def test_a_turn_is_shared_by_what_comes_with_it() -> None:
    """Its length is that of one answer of aiokafka; the partition that the answer cuts off brings no more now."""
    async with reading(3) as bench:
        for partition in range(3):
            bench.kafka.fetched(partition, range(400))
        first = await bench.hand_over(partitions=[0, 1, 2])
        assert {partition: len(offsets) for partition, offsets in first.items()} == {0: 400, 1: 100, 2: 400}
        assert await bench.hand_over(partitions=[0, 1, 2]) == {1: list(range(100, 400))}


@virtual
async def test_a_paused_partition_keeps_what_was_fetched_and_goes_on_where_it_stood() -> None:
    async with reading() as bench:
        bench.kafka.fetched(0, range(600))
        bench.kafka.fetched(1, [0])
        await bench.hand_over(partitions=[0, 1])
        bench.consumer.pause_reading([TP(TOPIC, 0)])
        bench.kafka.fetched(1, [1])
        assert await bench.hand_over(partitions=[0, 1]) == {1: [1]}
        assert bench.kafka.buffered(0)
        bench.consumer.pause_reading([])
        assert await bench.hand_over(partitions=[0, 1]) == {0: list(range(500, 600))}


@virtual
async def test_while_all_are_paused_nothing_comes_and_they_are_soon_looked_at_again() -> None:
    """Faust asks again at once; no partitions would mean all of them."""
    async with reading() as bench:
        bench.kafka.fetched(0, [0])
        bench.consumer.pause_reading([TP(TOPIC, 0), TP(TOPIC, 1)])
        begin = loop_time()
        assert await bench.hand_over(1.0, partitions=[0, 1]) == {}
        assert loop_time() - begin == pytest.approx(0.25)
        assert bench.kafka.buffered(0)


@virtual
async def test_beside_a_paused_partition_the_others_are_not_waited_for_for_long() -> None:
    async with reading() as bench:
        begin = loop_time()
        assert await bench.hand_over(1.0, partitions=[0, 1]) == {}
        assert loop_time() - begin == pytest.approx(1.0)
        bench.consumer.pause_reading([TP(TOPIC, 0)])
        begin = loop_time()
        assert await bench.hand_over(1.0, partitions=[0, 1]) == {}
        assert loop_time() - begin == pytest.approx(0.25)


@virtual
async def test_what_is_fetched_meanwhile_comes_at_once() -> None:
    async with reading() as bench:
        begin = loop_time()
        asking = asyncio.create_task(bench.hand_over(1.0, partitions=[0, 1]))
        await turns()
        bench.kafka.fetched(1, [0])
        assert await asking == {1: [0]}
        assert loop_time() == begin


@virtual
async def test_how_far_each_partition_was_handed_over_is_noted() -> None:
    async with reading(3) as bench:
        bench.kafka.assigned(*(TopicPartition(TOPIC, number) for number in range(3)))
        for partition, offset in ((0, 10), (1, 20)):
            bench.kafka.seek(TopicPartition(TOPIC, partition), offset)
        bench.kafka.fetched(0, [12, 13, 700])
        assert passed(bench) == {}
        await bench.hand_over(partitions=[0, 1, 2])
        # Of partition 1 nothing came; of partition 2 no position is known.
        assert passed(bench) == {0: Passed(Offset(12), Offset(701), Offset(701)), 1: Passed(None, None, Offset(20))}
        bench.kafka.fetched(0, [702])
        bench.kafka.fetched(1, [20])
        await bench.hand_over(partitions=[0, 1, 2])
        assert passed(bench) == {
            0: Passed(Offset(12), Offset(703), Offset(703)),
            1: Passed(Offset(20), Offset(21), Offset(21)),
        }
        await bench.hand_over(partitions=[0, 1, 2])
        assert passed(bench)[0] == Passed(Offset(12), Offset(703), Offset(703))


@virtual
async def test_of_a_part_of_what_was_fetched_the_rest_is_not_noted() -> None:
    async with reading() as bench:
        bench.kafka.fetched(0, range(600))
        await bench.hand_over(partitions=[0, 1])
        assert passed(bench)[0] == Passed(Offset(0), Offset(500), Offset(500))


@virtual
async def test_without_an_assignment_nothing_is_noted() -> None:
    async with reading() as bench:
        bench.consumer.stop_flow()
        bench.kafka._subscription.unsubscribe()  # noqa: SLF001 - as in the middle of a rebalance
        assert await bench.hand_over(partitions=[0, 1]) == {}
        assert passed(bench) == {}


@virtual
async def test_a_right_that_is_missing_is_waited_for_and_what_came_beside_it_is_kept() -> None:
    """Faust ends the worker by what aiokafka raises for it."""
    async with reading(3) as bench:
        bench.kafka.fetched(0, range(600))
        bench.kafka.refuse(1)
        bench.kafka.refuse(2)
        everything = [0, 1, 2]
        begin = loop_time()
        assert await bench.hand_over(partitions=everything) == {0: list(range(500))}
        assert bench.group.refused
        assert await bench.hand_over(partitions=everything) == {0: list(range(500, 600))}
        bench.kafka.refuse(1)
        assert await bench.hand_over(1.0, partitions=everything) == {}
        assert bench.group.refused
        assert loop_time() - begin == pytest.approx(0.75)
        assert passed(bench)[0] == Passed(Offset(0), Offset(600), Offset(600))
        assert await bench.hand_over(1.0, partitions=everything) == {}
        assert not bench.group.refused


async def drained(bench: Reading, while_draining: Any) -> list[int]:
    """Let Faust's own loop hand records on; return their offsets in the order in which they came to the stream."""
    came: list[int] = []

    async def callback(message: Any) -> None:
        came.append(message.offset)

    bench.consumer.callback = callback
    bench.consumer._active_partitions = {TP(TOPIC, 0), TP(TOPIC, 1)}  # noqa: SLF001 - what an assignment does
    fetcher = Service()
    draining = asyncio.create_task(bench.consumer._drain_messages(fetcher))  # noqa: SLF001 - what its fetcher runs
    await while_draining(came)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    return came


@virtual
async def test_what_is_read_again_comes_to_the_stream_again() -> None:
    """Faust's own consumer drops what lies below the largest offset that it has seen."""
    async with reading() as bench:

        async def read_twice(came: list[int]) -> None:
            bench.kafka.fetched(0, [0, 1, 2])
            await turns()
            assert came == [0, 1, 2]
            await bench.group.seek(Partition(0), Offset(1))
            bench.kafka.fetched(0, [1, 2, 3])
            await asyncio.sleep(1)

        assert await drained(bench, read_twice) == [0, 1, 2, 1, 2, 3]


@virtual
async def test_faust_seeks_nowhere_by_itself() -> None:
    """It does when a rebalance ends, and when it finds that the flow was stopped while records came."""
    async with reading() as bench:
        bench.kafka.committed_offsets = {0: 100, 1: 100}
        bench.kafka.fetched(0, [0])
        await bench.consumer.perform_seek()
        assert bench.kafka.asked == []
        assert await bench.hand_over(partitions=[0, 1]) == {0: [0]}


@virtual
async def test_faust_keeps_no_offsets_however_they_come() -> None:
    async with reading() as bench:
        offsets = bench.consumer._read_offset  # noqa: SLF001 - Faust's, and what its loop reads
        offsets[TP(TOPIC, 0)] = 5
        offsets.update({TP(TOPIC, 1): 7})
        assert (offsets[TP(TOPIC, 0)], offsets[TP(TOPIC, 1)], dict(offsets)) == (None, None, {})


@virtual
async def test_a_consumer_that_was_stopped_says_so() -> None:
    """Faust ends its loop by that."""
    async with reading() as bench:
        await bench.kafka.stop()
        with pytest.raises(bench.consumer.consumer_stopped_errors):
            await bench.hand_over(partitions=[0, 1])


def parameters(function: Any) -> list[tuple[str, Any]]:
    return [(name, parameter.kind) for name, parameter in inspect.signature(function).parameters.items()]


@pytest.mark.parametrize("name", ["committed", "beginning_offsets", "end_offsets", "commit", "start"])
def test_the_double_is_asked_as_aiokafka_is(name: str) -> None:
    assert parameters(getattr(MemoryKafkaConsumer, name)) == parameters(getattr(AIOKafkaConsumer, name))


def test_what_is_replaced_of_fausts_thread_is_there_to_be_replaced() -> None:
    name = "_fetch_records"
    assert parameters(getattr(ConsumerThread, name)) == parameters(getattr(AIOKafkaConsumerThread, name))
