"""What is released is committed, in order, and reported while it is not."""

import asyncio
from collections.abc import Mapping

import pytest
from aiokafka.errors import KafkaConnectionError

from streams.contract import Millis, Offset, Partition
from streams.positions import Positions
from streams.progress import Progress, Waiting
from streams.releases import Releases
from tests.streams.doubles import Gate, turns

P0, P1 = Partition(0), Partition(1)


class Bench:
    """Releases of two partitions, and a group that may fail."""

    def __init__(self) -> None:
        self.progress = Progress(lambda: 0.0)
        self.positions = Positions()
        self.commits: list[dict[Partition, Offset]] = []
        self.failures: list[Exception] = []
        self.gate = Gate()
        self.releases = Releases(self, self.positions, self.progress.stage("commit"))
        self.begin()

    def begin(self) -> None:
        self.positions.begin({P0: Offset(0), P1: Offset(0)})
        self.releases.begin({P0: Offset(0), P1: Offset(0)})

    async def commit(self, offsets: Mapping[Partition, Offset]) -> None:
        await self.gate.passed()
        if self.failures:
            raise self.failures.pop()
        self.commits.append(dict(offsets))

    def take(self, partition: Partition, ids: int = 1, event_time: int = 0) -> None:
        offset = self.positions.next(partition)
        self.positions.judge(partition, offset, None)
        self.releases.hold(partition, offset, ids, Millis(event_time))


async def test_a_record_is_released_when_all_its_ids_are_finished_and_all_before_it() -> None:
    bench = Bench()
    bench.take(P0, ids=2, event_time=7)
    bench.take(P0, event_time=9)
    bench.take(P1)
    assert bench.releases.held == 4
    bench.releases.finish([(P0, Offset(1)), (P0, Offset(0)), (P1, Offset(0))])
    assert await bench.releases.commit()
    assert (bench.commits, bench.releases.held) == ([{P1: 1}], 3)
    assert (bench.releases.oldest_event(P0), bench.releases.oldest_event(P1)) == (7, None)
    bench.releases.finish([(P0, Offset(0))])
    assert await bench.releases.commit()
    assert (bench.commits[1:], bench.releases.held) == ([{P0: 2}], 0)
    assert (bench.releases.committed(P0), bench.releases.committed(P1)) == (2, 1)


async def test_a_hole_behind_the_last_record_is_committed_too() -> None:
    bench = Bench()
    bench.positions.begin({P0: Offset(5), P1: Offset(0)})
    bench.releases.settle(P0)
    bench.releases.settle(P1)
    assert await bench.releases.commit()
    assert bench.commits == [{P0: 5}]


async def test_while_something_released_is_not_committed_there_is_work() -> None:
    bench = Bench()
    stage = bench.progress.stages["commit"]
    assert await bench.releases.commit()
    bench.take(P0)
    bench.releases.finish([(P0, Offset(0))])
    bench.failures.append(KafkaConnectionError())
    assert not await bench.releases.commit()
    assert stage.waiting == [Waiting("commit", "kafka", "Kafka does not commit offsets: KafkaConnectionError")]
    await bench.releases.wait()
    assert await bench.releases.commit()
    assert (stage.waiting, stage.progressed) == ([], 1)


async def test_what_is_not_committed_is_forgotten_at_a_rebalance() -> None:
    bench = Bench()
    bench.take(P0)
    bench.releases.finish([(P0, Offset(0))])
    bench.begin()
    assert await bench.releases.commit()
    assert (bench.commits, bench.progress.waiting) == ([], [])


async def test_what_is_held_is_forgotten_at_a_rebalance_and_may_be_held_again() -> None:
    bench = Bench()
    bench.take(P0, ids=2)
    bench.begin()
    assert (bench.releases.held, bench.releases.oldest_event(P0)) == (0, None)
    bench.take(P0, ids=3)
    assert bench.releases.held == 3


async def test_what_is_released_during_a_commit_is_left_to_do() -> None:
    bench = Bench()
    bench.take(P0)
    bench.take(P0)
    bench.releases.finish([(P0, Offset(0))])
    bench.gate.shut()
    committing = asyncio.create_task(bench.releases.commit())
    await turns()
    bench.releases.finish([(P0, Offset(1))])
    bench.gate.open()
    assert not await committing
    assert await bench.releases.commit()
    assert bench.commits == [{P0: 1}, {P0: 2}]


async def test_a_commit_that_a_rebalance_overtakes_says_nothing_of_the_partitions_after_it() -> None:
    """The offset that it committed is in what the next reading begins with, or another worker has the partition."""
    bench = Bench()
    bench.take(P0)
    bench.releases.finish([(P0, Offset(0))])
    bench.gate.shut()
    committing = asyncio.create_task(bench.releases.commit())
    await turns()
    bench.positions.begin({P1: Offset(0)})
    bench.releases.begin({P1: Offset(0)})
    bench.gate.open()
    assert await committing
    assert (bench.releases.committed(P1), bench.progress.waiting) == (0, [])
    with pytest.raises(KeyError):
        bench.releases.committed(P0)
