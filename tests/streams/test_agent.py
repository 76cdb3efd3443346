"""The flow of records through a worker, with Faust, Kafka and PostgreSQL taken away, on a clock that does not wait."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, cast

import pytest
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from streams.agent import SETTLE_SECONDS, Flow
from streams.contract import Created, DeadLetter, Offset, Partition, PostId, encode_created
from streams.group import Group
from streams.logs import CUT_SECONDS, LostPlace
from streams.progress import Progress
from streams.settings import Settings
from streams.standstill import Place
from streams.telemetry import Metrics
from streams.windows import OVERDUE_IDS, Batch
from tests.streams.doubles import Gate
from tests.streams.memory_group import MemoryGroup, MemoryStream
from tests.streams.virtual import virtual

P0, P1, P2 = Partition(0), Partition(1), Partition(2)
WINDOW = 5
HOUR = 3600


class MemoryCompletion:
    """Notes what it completes. ``failures`` come first, ``gate`` holds, and each batch takes ``seconds``."""

    def __init__(self) -> None:
        self.gate, self.letter_gate = Gate(), Gate()
        self.failures: deque[Exception] = deque()
        self.seconds = 0.0
        self.batches: list[Batch] = []
        self.shown: dict[int, float] = {}
        self.letters: list[DeadLetter] = []

    async def complete(self, batch: Batch) -> None:
        await self.gate.passed()
        if self.failures:
            raise self.failures.popleft()
        await asyncio.sleep(self.seconds)
        self.batches.append(batch)
        for record in batch.records:
            self.shown[int(record.post)] = asyncio.get_running_loop().time()

    async def dead_letter(self, letters: Iterable[DeadLetter]) -> None:
        await self.letter_gate.passed()
        self.letters += letters

    @property
    def posts(self) -> list[int]:
        return [int(record.post) for batch in self.batches for record in batch.records]


class Bench:
    """A flow, and the hands to feed it."""

    def __init__(self, partitions: int = 2, **settings: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.set_by = 0.0
        self.group = MemoryGroup(partitions)
        self.completion = MemoryCompletion()
        self.progress = Progress(self.loop.time)
        self.checkpoints: list[str] = []
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        urls = {"amqp_url": "amqp://broker", "database_url": "postgres://database/db", "kafka_url": "kafka://broker"}
        self.flow = Flow(
            cast(Group, self.group),
            Settings.model_validate({"window_seconds": WINDOW, **urls, **settings}),
            completion=self.completion,
            read=self.progress.stage("read"),
            commit=self.progress.stage("commit"),
            metrics=Metrics(CollectorRegistry(), self.progress),
            checkpoint=self.checkpoints.append,
            wall=self.wall,
            steady=self.loop.time,
        )

    def wall(self) -> float:
        return 1_000_000_000 + self.loop.time() + self.set_by

    @property
    def held(self) -> int:
        return self.flow.standing.held_live + self.flow.standing.held_overdue

    @property
    def waiting(self) -> list[str]:
        return [f"{waiting.stage}: {waiting.service}: {waiting.why}" for waiting in self.progress.waiting]

    def write(self, partition: Partition, *posts: int, age: float = 0, attempt: int = 0) -> None:
        """Write one record for each post."""
        for post in posts:
            self.write_ids(partition, [post], age=age, attempt=attempt)

    def write_ids(self, partition: Partition, posts: Iterable[int], *, age: float = 0, attempt: int = 0) -> None:
        """Write one record for all posts."""
        value = encode_created(Created([PostId(post) for post in posts], attempt))
        self.group.write(partition, self.wall() - age, value)

    def hand_over(self) -> None:
        """Fetch once."""
        for partition in self.group.partitions:
            for event in self.group.fetch(partition):
                self.events.put_nowait(event)

    async def fetch_for_ever(self) -> None:
        while True:
            self.hand_over()
            await asyncio.sleep(0.05)

    async def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    async def taken(self) -> None:
        """Let everything that was handed over be taken."""
        await self.until(self.events.empty)
        await asyncio.sleep(0)

    async def take_window(self) -> None:
        """Have everything that was written taken, and let its window end."""
        self.hand_over()
        await self.taken()
        await asyncio.sleep(WINDOW)

    async def rebalance(self) -> None:
        self.group.generation += 1
        await self.flow.on_assigned()


@asynccontextmanager
async def running(*, tasks: bool = True, partitions: int = 2, **settings: Any) -> AsyncIterator[Bench]:
    """Yield a bench whose flow runs by itself; without ``tasks`` it only takes records, and the test does the rest."""
    bench = Bench(partitions, **settings)
    consuming = [asyncio.create_task(bench.flow.consume(cast(Any, MemoryStream(bench.events))))]
    try:
        if tasks:
            await bench.flow.start()
            consuming.append(asyncio.create_task(bench.fetch_for_ever()))
        await bench.flow.on_assigned()
        yield bench
    finally:
        for task in consuming:
            task.cancel()
        await asyncio.gather(*consuming, return_exceptions=True)
        if tasks:
            await bench.flow.stop()


# -- windows and batches ----------------------------------------------------------------------------------


@virtual
async def test_what_is_completed_is_committed_in_order() -> None:
    async with running() as bench:
        assert bench.waiting == []
        bench.write(P0, 1, 2, 3)
        bench.write(P1, 4)
        await bench.until(lambda: bench.group.commits == {P0: 3, P1: 1})
        assert sorted(bench.completion.posts) == [1, 2, 3, 4]
        assert (bench.flow.standing.held_live, bench.waiting) == (0, [])


@virtual
async def test_records_are_in_the_windows_of_their_timestamps() -> None:
    async with running(tasks=False) as bench:
        now = round(bench.wall() * 1000)
        bench.write(P1, 2, age=HOUR)
        bench.write(P0, 1, age=HOUR + WINDOW)
        bench.write(P0, 3)
        bench.hand_over()
        await bench.taken()
        await bench.flow.tick()
        [batch] = bench.completion.batches
        assert (batch.overdue, bench.completion.posts) == (True, [1, 2])
        assert [record.event_time for record in batch.records] == [now - 3_605_000, now - 3_600_000]
        await asyncio.sleep(WINDOW)
        await bench.flow.tick()
        assert bench.completion.batches[1].window == now - now % 5000
        assert bench.completion.posts == [1, 2, 3]


@virtual
async def test_a_live_window_closes_within_a_second_beside_a_partition_that_is_not_read() -> None:
    async with running() as bench:
        bench.write(P0, 1)
        bench.write(P1, 2)
        await bench.until(bench.events.empty)
        await asyncio.sleep(0.1)
        bench.group.pause([P1])
        bench.write(P1, 3)
        await bench.until(lambda: bench.completion.posts == [1, 2], seconds=WINDOW + 1)


@virtual
async def test_no_window_waits_for_a_partition_without_a_leader() -> None:
    """M2."""
    async with running() as bench:
        bench.write(P1, 2)
        await asyncio.sleep(0.1)
        bench.group.leaders_gone.add(P1)
        bench.write(P1, 3)
        bench.write(P0, 1)
        end = (bench.wall() // WINDOW + 1) * WINDOW
        await bench.until(lambda: sorted(bench.completion.posts) == [1, 2])
        assert bench.wall() - end < 0.5
        assert bench.flow.standing.behind == {P1}
        assert bench.waiting == []


@virtual
async def test_a_batch_is_never_larger_than_allowed_and_its_parts_keep_their_record() -> None:
    async with running(tasks=False, max_batch=4) as bench:
        bench.write_ids(P0, range(1, 11))
        await bench.take_window()
        bench.completion.gate.shut()
        tick = asyncio.create_task(bench.flow.tick())
        await asyncio.sleep(0.1)
        bench.completion.gate.open()
        await tick
        assert [len(batch.records) for batch in bench.completion.batches] == [4, 4, 2]
        await bench.flow.on_stop()
        assert bench.group.commits == {P0: 1}


@virtual
async def test_a_part_of_a_record_releases_nothing() -> None:
    async with running(tasks=False, max_batch=4) as bench:
        bench.write_ids(P0, range(1, 6))
        await bench.take_window()
        bench.completion.seconds = SETTLE_SECONDS + 1
        tick = asyncio.create_task(bench.flow.tick())
        await asyncio.sleep(SETTLE_SECONDS + 1.5)
        assert bench.completion.posts == [1, 2, 3, 4]
        assert bench.held == 5
        await bench.flow.on_revoked()
        await tick
        assert bench.group.commits == {}


@virtual
async def test_a_backlog_of_an_hour_holds_up_no_live_post() -> None:
    """H2, law 5: a live post waits for its window, a second, the statement under way and its own."""
    statement = 0.2
    async with running(max_held=2000) as bench:
        bench.completion.seconds = statement
        backlog = range(1_000_000, 1_020_000)
        for post in backlog:
            bench.write(P0, post, age=HOUR - (post - backlog[0]) / 10)
        announced: dict[int, float] = {}
        for post in range(1, 301):
            bench.write(P1, post)
            announced[post] = bench.loop.time()
            await asyncio.sleep(0.1)
        await bench.until(lambda: bench.flow.standing.lags() == {P0: (0, 0.0), P1: (0, 0.0)}, seconds=HOUR)
        late = [bench.completion.shown[post] - at for post, at in announced.items()]
        assert max(late) <= WINDOW + 1 + 2 * statement
        beside = [batch for batch in bench.completion.batches if batch.overdue]
        assert sum(len(batch.records) for batch in beside) == len(backlog)
        assert max(len(batch.records) for batch in beside) <= OVERDUE_IDS
        # In large statements, not one for each of 400 old windows.
        assert len(beside) < 40
        assert bench.group.commits == {P0: 20_000, P1: 300}


@virtual
async def test_overdue_records_that_are_still_coming_gather() -> None:
    """Else each old window is a statement of its own, as fast as they are read."""
    async with running() as bench:
        bench.completion.seconds = 0.06
        for number in range(40):
            bench.write(P0, *range(100 * number + 1, 100 * number + 101), age=HOUR - 10 * number)
            await asyncio.sleep(0.05)
        await bench.until(lambda: bench.group.commits == {P0: 4000})
        assert len(bench.completion.batches) <= 40 * 0.05 / 0.25 + 3


# -- pressure -----------------------------------------------------------------------------------------------


@virtual
async def test_only_what_is_behind_is_paused_and_nothing_of_it_is_lost() -> None:
    async with running(max_held=100) as bench:
        bench.completion.gate.shut()
        bench.write(P0, *range(1000, 3000), age=HOUR)
        await asyncio.sleep(1)
        assert bench.group.paused == {P0}
        assert bench.flow.standing.held_overdue == 100
        assert (await bench.flow.places())[P0] == Place(Offset(0), Offset(2000), None)
        bench.write(P1, *range(1, 51))
        await asyncio.sleep(1)
        assert bench.group.paused == {P0}
        assert bench.flow.standing.held_live == 50
        bench.completion.gate.open()
        await bench.until(lambda: bench.group.commits == {P0: 2000, P1: 50})
        assert sorted(bench.completion.posts) == [*range(1, 51), *range(1000, 3000)]
        assert [post for post in bench.completion.posts if post >= 1000] == list(range(1000, 3000))
        assert bench.group.paused == frozenset()


@virtual
async def test_what_waits_of_a_paused_partition_is_forgotten_with_it() -> None:
    async with running(max_held=10) as bench:
        bench.completion.gate.shut()
        bench.write(P0, *range(1, 101), age=HOUR)
        await asyncio.sleep(1)
        assert bench.group.paused == {P0}
        await bench.flow.on_revoked()
        assert bench.group.paused == frozenset()
        bench.group.partitions = [P1]
        await bench.rebalance()
        bench.completion.gate.open()
        bench.write(P1, 200)
        await bench.until(lambda: bench.group.commits == {P1: 1})
        assert not bench.flow.crashed


@virtual
async def test_at_twice_as_much_everything_is_paused() -> None:
    """The database is away: records stay in Kafka."""
    async with running(max_held=100) as bench:
        bench.completion.gate.shut()
        for number in range(60):
            bench.write(P0, *range(100 * number + 1, 100 * number + 51))
            bench.write(P1, *range(100 * number + 51, 100 * number + 101))
            await asyncio.sleep(1)
        assert bench.group.paused == {P0, P1}
        assert bench.held == 200
        bench.completion.gate.open()
        await bench.until(lambda: bench.group.commits == {P0: 3000, P1: 3000})
        assert sorted(bench.completion.posts) == list(range(1, 6001))


@virtual
async def test_a_window_that_is_not_over_makes_room_under_pressure() -> None:
    async with running(max_held=10, window_seconds=HOUR) as bench:
        bench.write(P0, *range(1, 101))
        await bench.until(lambda: bench.group.commits == {P0: 100}, seconds=60)


@virtual
async def test_a_worker_that_was_full_turns_no_more_often_than_one_that_was_not() -> None:
    async with running(max_held=10) as bench:
        bench.write(P0, *range(1, 101))
        await bench.until(lambda: bench.group.commits == {P0: 100})
        ticks = 0
        tick = bench.flow.tick

        async def counted() -> None:
            nonlocal ticks
            ticks += 1
            await tick()

        bench.flow.tick = counted  # type: ignore[method-assign]
        await asyncio.sleep(10)
        assert ticks <= 40


# -- records that are none ------------------------------------------------------------------------------------


@virtual
async def test_a_record_that_is_none_is_set_aside_and_released() -> None:
    async with running() as bench:
        bench.write(P0, 1)
        bench.group.write(P0, bench.wall(), b"not a record")
        bench.group.write(P0, bench.wall(), cast(bytes, None))
        await bench.until(lambda: bench.group.commits == {P0: 3})
        assert bench.completion.posts == [1]
        assert [(letter.reason, letter.body) for letter in bench.completion.letters] == [
            ("bad_record", b"not a record"),
            ("bad_record", b""),
        ]


@virtual
async def test_a_record_is_not_released_before_its_letter_is_confirmed() -> None:
    async with running(tasks=False) as bench:
        bench.completion.letter_gate.shut()
        bench.group.write(P0, bench.wall(), b"not a record")
        bench.hand_over()
        await asyncio.sleep(1)
        assert bench.flow.standing.held_live == 1
        revoking = asyncio.create_task(bench.flow.on_revoked())
        await asyncio.sleep(1)
        bench.completion.letter_gate.open()
        await revoking
        assert bench.group.commits == {}


@virtual
async def test_an_error_of_the_program_ends_the_worker() -> None:
    async with running() as bench:
        bench.events.put_nowait(object())
        await bench.until(lambda: bench.flow.crashed)


@virtual
async def test_a_batch_that_fails_unexpectedly_is_logged_once_and_tried_again() -> None:
    """L9: never skipped, never in a hot loop, and /readyz says so meanwhile."""
    with capture_logs() as logs:
        await _fails_unexpectedly()
    assert [entry["exc_info"] for entry in logs if entry["event"] == "batch.failed"] == [True]


async def _fails_unexpectedly() -> None:
    async with running() as bench:
        bench.completion.failures.extend([ZeroDivisionError("why")] * 5)
        bench.write(P0, 1)
        await bench.until(lambda: len(bench.completion.failures) < 5)
        assert bench.waiting == [
            "commit: worker: a batch fails for an unexpected reason, see the log: ZeroDivisionError('why')"
        ]
        before = bench.loop.time()
        await bench.until(lambda: bench.group.commits == {P0: 1})
        assert bench.loop.time() - before > 0.1 + 0.2 + 0.4 + 0.8
        assert bench.waiting == []


# -- rebalances -----------------------------------------------------------------------------------------------


@virtual
async def test_what_was_read_before_a_rebalance_belongs_to_nobody() -> None:
    async with running(tasks=False) as bench:
        bench.write(P0, 1, 2)
        old = list(bench.group.fetch(P0))
        await bench.flow.on_revoked()
        assert bench.waiting == ["read: kafka: a rebalance: waiting for partitions"]
        bench.events.put_nowait(old[0])
        await bench.taken()
        await bench.rebalance()
        assert bench.waiting == []
        # A1: also when it lies beyond the new beginning.
        bench.group.commits[P0] = Offset(1)
        await bench.rebalance()
        bench.events.put_nowait(old[1])
        await bench.taken()
        assert bench.flow.standing.held_live == 0
        bench.hand_over()
        await bench.taken()
        assert bench.flow.standing.held_live == 1


@virtual
async def test_a_rebalance_lets_the_batch_in_work_be_released_first() -> None:
    """By itself: nothing else commits in this test."""
    async with running(tasks=False) as bench:
        bench.write(P0, 1)
        await bench.take_window()
        bench.completion.gate.shut()
        tick = asyncio.create_task(bench.flow.tick())
        await asyncio.sleep(0.1)
        revoking = asyncio.create_task(bench.flow.on_revoked())
        await asyncio.sleep(SETTLE_SECONDS - 0.5)
        assert bench.group.commits == {}
        bench.completion.gate.open()
        await asyncio.gather(revoking, tick)
        assert bench.group.commits == {P0: 1}
        assert bench.checkpoints == ["partitions.revoked"]


@virtual
async def test_an_orderly_end_releases_the_batch_in_work() -> None:
    async with running(tasks=False) as bench:
        bench.write(P0, 1)
        await bench.take_window()
        await bench.flow.tick()
        await bench.flow.on_stop()
        assert bench.group.commits == {P0: 1}


@virtual
async def test_nothing_new_is_completed_while_partitions_are_revoked() -> None:
    async with running(max_batch=1) as bench:
        bench.completion.gate.shut()
        bench.write(P0, 1, 2, 3)
        await bench.until(lambda: bench.completion.gate.waiting > 0)
        revoking = asyncio.create_task(bench.flow.on_revoked())
        await asyncio.sleep(0.1)
        bench.completion.gate.open()
        await revoking
        await asyncio.sleep(2 * WINDOW)
        assert bench.completion.posts == [1]
        assert bench.group.commits == {P0: 1}


@virtual
async def test_a_batch_that_a_rebalance_cuts_off_releases_nothing_of_the_new_reading() -> None:
    async with running(max_batch=2) as bench:
        bench.completion.gate.shut()
        bench.write_ids(P0, [1, 2, 3])
        await bench.until(lambda: bench.completion.gate.waiting > 0)
        await bench.flow.on_revoked()
        await bench.rebalance()
        assert bench.held == 0
        # The same offset is held again, while its first two ids are still being completed for the first time.
        await bench.until(lambda: bench.held == 3)
        bench.completion.gate.open()
        bench.completion.seconds = 1
        await bench.until(lambda: bench.completion.posts == [1, 2, 1, 2])
        await asyncio.sleep(0.9)
        assert bench.group.commits == {}
        await bench.until(lambda: bench.group.commits == {P0: 1})
        assert bench.completion.posts == [1, 2, 1, 2, 3]


@virtual
async def test_what_could_not_be_committed_before_a_rebalance_is_forgotten() -> None:
    async with running() as bench:
        bench.write(P0, 1)
        bench.group.failures["commit"].extend([CommitFailedError()] * 3)
        await bench.until(lambda: len(bench.group.failures["commit"]) == 2)
        await bench.flow.on_revoked()
        bench.group.partitions = [P1]
        await bench.rebalance()
        bench.group.failures["commit"].clear()
        bench.write(P1, 2)
        await bench.until(lambda: P1 in bench.group.commits)
        assert bench.group.commits == {P1: 1}


@virtual
async def test_a_kafka_that_is_away_during_a_rebalance_is_waited_for() -> None:
    """Suspicion 3: what on_assigned raises ends the worker."""
    async with running() as bench:
        bench.write(P0, 1)
        await bench.flow.on_revoked()
        bench.group.failures["begin"].extend([KafkaConnectionError(), TimeoutError(), KafkaConnectionError()])
        before = bench.loop.time()
        assigning = asyncio.create_task(bench.rebalance())
        await asyncio.sleep(0.05)
        assert bench.waiting == ["read: kafka: a rebalance: Kafka does not say where to begin: KafkaConnectionError"]
        await assigning
        assert bench.loop.time() - before == pytest.approx(0.1 + 0.2 + 0.4)
        await bench.until(lambda: bench.group.commits == {P0: 1})
        assert bench.waiting == []


@virtual
async def test_an_assignment_that_comes_too_late_is_dropped() -> None:
    async with running() as bench:
        bench.group.failures["begin"].extend([KafkaConnectionError()] * 3)
        assigning = asyncio.create_task(bench.rebalance())
        await asyncio.sleep(0.05)
        await bench.flow.on_revoked()
        async with asyncio.timeout(1):
            await assigning
        assert bench.waiting == ["read: kafka: a rebalance: waiting for partitions"]
        assert await bench.flow.places() == {}


@virtual
async def test_an_assignment_whose_answer_comes_too_late_is_dropped() -> None:
    async with running() as bench:
        bench.group.gates["begin"].shut()
        assigning = asyncio.create_task(bench.rebalance())
        await asyncio.sleep(0.05)
        await bench.flow.on_revoked()
        bench.group.gates["begin"].open()
        await assigning
        assert bench.waiting == ["read: kafka: a rebalance: waiting for partitions"]
        assert await bench.flow.places() == {}


@virtual
async def test_what_is_parked_is_not_taken_while_partitions_are_revoked() -> None:
    async with running(max_held=4, max_batch=4) as bench:
        bench.completion.gate.shut()
        bench.write(P0, *range(1, 21), age=HOUR)
        await asyncio.sleep(1)
        assert bench.group.paused == {P0}
        revoking = asyncio.create_task(bench.flow.on_revoked())
        await asyncio.sleep(0.1)
        bench.completion.gate.open()
        await revoking
        await bench.rebalance()
        await bench.until(lambda: bench.group.commits == {P0: 20})
        assert not bench.flow.crashed


# -- commits --------------------------------------------------------------------------------------------------


@virtual
async def test_a_commit_that_fails_is_tried_again() -> None:
    async with running() as bench:
        bench.group.failures["commit"].extend([KafkaConnectionError(), TimeoutError()])
        bench.write(P0, 1)
        await bench.until(lambda: len(bench.group.failures["commit"]) == 1)
        assert bench.waiting == ["commit: kafka: Kafka does not commit offsets: KafkaConnectionError"]
        assert (await bench.flow.places())[P0] == Place(Offset(0), Offset(1), Offset(1))
        await bench.until(lambda: bench.group.commits == {P0: 1})
        await asyncio.sleep(0)
        assert bench.waiting == []
        assert (await bench.flow.places())[P0] == Place(Offset(1), Offset(1), Offset(1))


@virtual
async def test_what_is_released_during_a_commit_is_committed_next() -> None:
    async with running() as bench:
        bench.group.gates["commit"].shut()
        bench.write(P0, 1)
        await bench.until(lambda: bench.completion.posts == [1])
        bench.write(P0, 2)
        await bench.until(lambda: bench.completion.posts == [1, 2])
        await asyncio.sleep(1)
        bench.group.gates["commit"].open()
        await bench.until(lambda: bench.group.commits == {P0: 2})


# -- jumps, holes and cut logs ------------------------------------------------------------------------------------


@virtual
async def test_a_record_that_is_delivered_twice_is_taken_once() -> None:
    async with running() as bench:
        bench.write(P0, 1, 2)
        await asyncio.sleep(0.2)
        bench.events.put_nowait(bench.group.event(P0, 0, bench.wall(), encode_created(Created([PostId(1)]))))
        await bench.until(lambda: bench.group.commits == {P0: 2})
        assert bench.completion.posts == [1, 2]


@virtual
async def test_a_consumer_that_lost_its_place_reads_again_from_where_it_jumped() -> None:
    async with running() as bench:
        bench.write(P0, *range(1, 21))
        *_, tenth = list(bench.group.fetch(P0))[:10]
        bench.events.put_nowait(tenth)
        await bench.until(lambda: bench.group.commits == {P0: 20})
        assert bench.group.seeks == [(P0, 0)]
        assert bench.completion.posts == list(range(1, 21))


@virtual
@pytest.mark.parametrize("name", ["retention", "compaction"])
async def test_a_jump_over_what_the_log_does_not_hold_is_taken_after_a_second_reading(name: str) -> None:
    """M10: retention, or a hole that it does not explain."""
    async with running() as bench:
        bench.write(P0, *range(1, 21))
        if name == "retention":
            bench.group.expire(P0, 10)
        else:
            for offset in range(10):
                del bench.group.logs[P0][offset]
        await bench.until(lambda: bench.group.commits == {P0: 20})
        assert bench.completion.posts == list(range(11, 21))
        assert bench.group.seeks == [(P0, 0)]


@virtual
async def test_a_hole_is_said_once_and_in_the_end_also_when_kafka_was_away() -> None:
    """A23: a question without an answer ends nothing."""
    with capture_logs() as logs:
        async with running() as bench:
            bench.group.failures["earliest"].extend([KafkaConnectionError(), TimeoutError()])
            bench.write(P0, *range(1, 21))
            bench.group.expire(P0, 10)
            await bench.until(lambda: bench.group.commits == {P0: 20})
            await asyncio.sleep(2)
            assert not bench.flow.crashed
    said = [{**entry} for entry in logs if entry["event"].startswith("records.")]
    assert said == [{"event": "records.gone", "log_level": "warning", "partition": 0, "first": 0, "next": 10}]


@virtual
async def test_a_seek_that_a_rebalance_prevents_ends_nothing() -> None:
    async with running() as bench:
        bench.group.failures["seek"].append(IllegalStateError())
        bench.write(P0, 1, 2, 3)
        del bench.group.logs[P0][0]
        await bench.until(lambda: bench.group.commits == {P0: 3})


@virtual
async def test_a_log_that_is_known_to_have_holes_is_not_read_again_for_each() -> None:
    """The markers of a transactional writer: each after a record of its own, the last one at the end of the log."""
    async with running() as bench:
        for post in range(1, 51):
            bench.write(P0, post)
            del bench.group.logs[P0][bench.group.write(P0, 0, b"")]
        await bench.until(lambda: bench.group.commits == {P0: 100})
        assert bench.completion.posts == list(range(1, 51))
        # The second came before the first was looked into.
        assert bench.group.seeks == [(P0, 1), (P0, 3)]
        assert (await bench.flow.places())[P0] == Place(Offset(100), Offset(100), Offset(100))
        assert bench.flow.standing.lags()[P0] == (0, 0.0)


@virtual
@pytest.mark.parametrize("gone", [5, 7])
async def test_what_retention_took_counts_as_read(gone: int) -> None:
    """A silent partition whose log was deleted up to its end holds up nobody, and does not lag (L6)."""
    async with running() as bench:
        bench.group.expire(P1, gone)
        bench.write(P0, 1)
        await bench.until(lambda: bench.group.commits == {P0: 1, P1: gone})
        assert bench.flow.standing.behind == frozenset()


@virtual
async def test_what_was_fetched_before_retention_took_it_is_taken() -> None:
    """L6: nothing moves the read position past records that are on their way."""
    async with running(tasks=False) as bench:
        bench.write(P0, 1, 2, 3)
        events = list(bench.group.fetch(P0))
        bench.group.expire(P0, 3)
        await bench.flow._logs.look()  # noqa: SLF001 - as its task does
        for event in events:
            bench.events.put_nowait(event)
        await bench.taken()
        assert bench.flow.standing.held_live == 3


@virtual
async def test_a_log_that_was_cut_ends_the_worker_and_is_read_from_its_beginning() -> None:
    async with running(partitions=3) as bench:
        for partition in (P0, P1, P2):
            bench.write(partition, 1, 2, 3)
        await bench.until(lambda: bench.group.commits == {P0: 3, P1: 3, P2: 3})
        # The first two only seem to be cut; suspicion 6: that does not hide the third.
        bench.group.stale.update({P0: Offset(1), P1: Offset(1)})
        bench.group.end[P2] = Offset(1)
        await bench.until(lambda: bench.flow.crashed)
        assert isinstance(bench.flow.crash_reason, LostPlace)
        assert bench.group.commits == {P0: 3, P1: 3, P2: 0}


@virtual
@pytest.mark.parametrize("away", [True, False])
async def test_an_end_that_the_consumer_alone_believes_is_no_cut(away: bool) -> None:
    async with running() as bench:
        bench.write(P0, 1, 2, 3)
        await bench.until(lambda: bench.group.commits == {P0: 3})
        bench.group.stale[P0] = Offset(1)
        if away:
            bench.group.failures["ends"].extend([KafkaConnectionError()] * 100)
        await asyncio.sleep(2 * CUT_SECONDS)
        assert not bench.flow.crashed
        bench.group.stale.clear()
        bench.write(P0, 4)
        await bench.until(lambda: bench.group.commits == {P0: 4})


@virtual
async def test_how_long_a_log_has_seemed_to_be_cut_is_forgotten_at_a_rebalance() -> None:
    """A5."""
    async with running() as bench:
        bench.group.commits[P0] = Offset(3)
        await bench.rebalance()
        await asyncio.sleep(CUT_SECONDS - 1)
        await bench.flow.on_revoked()
        await bench.rebalance()
        await asyncio.sleep(CUT_SECONDS - 1)
        assert not bench.flow.crashed


# -- clocks -----------------------------------------------------------------------------------------------------


@virtual
@pytest.mark.parametrize("step", [-20, -HOUR, HOUR])
async def test_a_wall_clock_that_is_set_puts_no_live_post_wrong(step: int) -> None:
    """M11: its posts are in windows as before, and nothing waits until the clock is there again."""
    async with running() as bench:
        bench.write(P0, 1)
        await asyncio.sleep(1)
        bench.set_by = step
        await asyncio.sleep(1)
        announced = {}
        for post in range(2, 100):
            bench.write(P0, post)
            announced[post] = bench.loop.time()
            await asyncio.sleep(0.25)
        await bench.until(lambda: bench.group.commits == {P0: 99})
        assert all(bench.completion.shown[post] - at <= WINDOW + 1 for post, at in announced.items())
        assert len(bench.completion.batches) <= 98 / 4 / WINDOW + 4
        assert bench.wall() - bench.completion.batches[-1].window / 1000 < 3 * WINDOW


@virtual
@pytest.mark.parametrize("step", [0, -20, -HOUR])
async def test_a_retry_is_looked_up_once_a_window(step: int) -> None:
    async with running() as bench:
        complete = bench.completion.complete
        lookups: list[float] = []

        async def find_nothing(batch: Batch) -> None:
            await complete(batch)
            for record in batch.records:
                lookups.append(bench.loop.time())
                if record.attempt < 2:
                    bench.write(P0, int(record.post), attempt=record.attempt + 1)

        bench.completion.complete = find_nothing  # type: ignore[method-assign]
        bench.write(P0, 1)
        await asyncio.sleep(1)
        bench.set_by = step
        await bench.until(lambda: len(lookups) == 3)
        pauses = [after - before for before, after in pairwise(lookups)]
        assert all(WINDOW - 1 <= pause <= WINDOW + 1 for pause in pauses)


# -- what is told -----------------------------------------------------------------------------------------------


@virtual
async def test_places_and_lags_of_each_partition() -> None:
    async with running(partitions=3) as bench:
        bench.write(P0, 1, 2)
        await bench.until(lambda: bench.group.commits == {P0: 2})
        bench.write(P1, 3, age=10)
        bench.completion.gate.shut()
        await asyncio.sleep(1)
        bench.group.leaders_gone.add(P2)
        assert await bench.flow.places() == {
            P0: Place(Offset(2), Offset(2), Offset(2)),
            P1: Place(Offset(0), Offset(1), Offset(1)),
        }
        assert bench.flow.standing.lags() == {P0: (0, 0.0), P1: (1, pytest.approx(11, abs=0.01)), P2: (0, 0.0)}


@virtual
async def test_a_worker_that_may_not_read_says_so_and_stops_saying_so() -> None:
    async with running() as bench:
        bench.group.refused = True
        await bench.flow.places()
        assert bench.waiting == [
            "read: permission: Kafka does not allow this worker to read posts.created: grant it the right"
        ]
        bench.group.refused = False
        await bench.flow.places()
        assert bench.waiting == []


@virtual
async def test_a_worker_whose_partitions_have_no_leader_says_so_and_stops_saying_so() -> None:
    async with running() as bench:
        bench.group.leaders_gone.update({P0, P1})
        assert await bench.flow.places() == {}
        assert bench.waiting == [
            "read: leader: no broker of Kafka that leads the assigned partitions of posts.created answers"
        ]
        bench.group.leaders_gone.discard(P1)
        assert list(await bench.flow.places()) == [P1]
        assert bench.waiting == []
