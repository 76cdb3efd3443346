"""A worker that is stuck is told from one that waits, with a clock that the tests move."""

from collections.abc import Mapping
from contextlib import ExitStack

import pytest

from streams.contract import Millis, Offset, Partition
from streams.progress import Progress
from streams.standstill import Place
from streams.watchdog import CLAIM_SECONDS, LOOK_SECONDS, PATIENCE_SECONDS, LoopWatch, RunningClock, Watch

P0 = Partition(0)
STANDS = Place(Offset(5), Offset(9))
DONE = Place(Offset(9), Offset(9))


class Bench:
    """A watch over a worker whose consumer and whose Kafka answer as the test says."""

    def __init__(self, window: int = 5000) -> None:
        self.now = 0.0
        self.place: Place | Exception = DONE
        self.kafka = True
        self.asked = 0
        self.progress = Progress(lambda: self.now)
        self.open = ExitStack()
        self.read, self.look_up, self.publish, self.commit, self.bridge = (
            self.progress.stage(name) for name in ("read", "look up", "publish", "commit", "bridge")
        )
        work = self.open.enter_context(self.progress.stage("consumer").work())
        self.watch = Watch(
            self, self.progress, work, answers=self.answers, clock=lambda: self.now, window=Millis(window)
        )

    async def places(self) -> Mapping[Partition, Place]:
        if isinstance(self.place, Exception):
            raise self.place
        return {P0: self.place}

    async def answers(self) -> bool:
        self.asked += 1
        return self.kafka

    async def looks(self, seconds: float) -> str | None:
        """Look every two seconds for so long; return the first verdict."""
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.now += LOOK_SECONDS
            if sentence := await self.watch.look():
                return sentence
        return None

    @property
    def waiting(self) -> list[tuple[str, str]]:
        return [(waiting.stage, waiting.service) for waiting in self.progress.waiting]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_an_idle_worker_is_fine_for_ever_and_kafka_is_not_asked_twice(bench: Bench) -> None:
    assert await bench.looks(3600) is None
    assert bench.waiting == []
    assert bench.asked == 0


async def test_a_stage_that_neither_progresses_nor_waits_is_stuck(bench: Bench) -> None:
    with bench.look_up.work():
        assert await bench.looks(PATIENCE_SECONDS) is None
        assert "stage look up has neither progressed nor waited" in (await bench.looks(4) or "")


async def test_a_statement_of_ten_minutes_is_waited_for(bench: Bench) -> None:
    """STATEMENT_TIMEOUT_SECONDS may be 600, and partitions stand meanwhile."""
    bench.place = STANDS
    with bench.look_up.work() as work, work.asks("database", "a statement is under way"):
        assert await bench.looks(600) is None
        assert bench.waiting == [("look up", "database")]


async def test_a_window_of_a_minute_may_stay_open_and_no_longer_than_its_patience() -> None:
    bench = Bench(window=60_000)
    bench.place = STANDS
    assert await bench.looks(60 + PATIENCE_SECONDS) is None
    assert await bench.looks(6) == "partition 0 stands at 5 of 9 for 80 s"


async def test_a_partition_that_stands_is_stuck_although_the_bridge_gets_on(bench: Bench) -> None:
    bench.place = STANDS
    for _ in range(11):
        with bench.bridge.work() as work:
            work.progressed()
            assert await bench.looks(2) is None
    assert await bench.looks(6) == "partition 0 stands at 5 of 9 for 24 s"


@pytest.mark.parametrize("stage", ["look_up", "publish", "commit"])
async def test_while_batches_get_on_nothing_is_stuck(bench: Bench, stage: str) -> None:
    bench.place = STANDS
    for _ in range(100):
        with getattr(bench, stage).work():
            assert await bench.looks(2) is None


async def test_a_bridge_that_waits_for_kafka_does_not_excuse_a_partition_that_stands(bench: Bench) -> None:
    bench.place = STANDS
    with bench.bridge.work() as work:
        work.waits("rabbitmq", "away")
        assert await bench.looks(30) == "partition 0 stands at 5 of 9 for 24 s"


async def test_a_kafka_that_is_away_is_waited_for_and_the_watchdog_clears_what_it_said(bench: Bench) -> None:
    """M3: an idle worker is ready again as soon as its consumer gets an answer."""
    bench.place, bench.kafka = TimeoutError(), False
    assert await bench.looks(600) is None
    assert bench.waiting == [("consumer", "kafka")]
    bench.place, bench.kafka = DONE, True
    assert await bench.looks(2) is None
    assert bench.waiting == []


async def test_a_consumer_that_does_not_answer_although_kafka_does_is_stuck(bench: Bench) -> None:
    bench.place = TimeoutError()
    assert await bench.looks(2) is None
    assert await bench.looks(2) == "the consumer does not answer although Kafka does"


async def test_an_unanswered_question_before_kafka_went_away_does_not_count(bench: Bench) -> None:
    bench.place = TimeoutError()
    assert await bench.looks(2) is None
    bench.kafka = False
    assert await bench.looks(60) is None
    bench.kafka = True
    assert await bench.looks(2) is None
    bench.place = DONE
    assert await bench.looks(60) is None


@pytest.mark.parametrize(("stage", "service"), [("read", "kafka"), ("read", "leader"), ("commit", "kafka")])
async def test_a_consumer_that_waits_for_a_kafka_that_answers_is_stuck(bench: Bench, stage: str, service: str) -> None:
    with getattr(bench, stage).work() as work:
        work.waits(service, "no answer")
        assert await bench.looks(CLAIM_SECONDS) is None
        verdict = await bench.looks(4)
        assert verdict == f"stage {stage} has waited for Kafka for {CLAIM_SECONDS + 2:.0f} s although Kafka answers"


async def test_a_consumer_that_waits_for_the_same_kafka_as_others_is_not(bench: Bench) -> None:
    with bench.commit.work() as commit, bench.publish.work() as publish:
        commit.waits("kafka", "too few replicas")
        publish.waits("kafka", "too few replicas")
        assert await bench.looks(600) is None


async def test_a_consumer_whose_partitions_have_no_leader_is_not(bench: Bench) -> None:
    """M2: for as long as that lasts."""
    bench.kafka = False
    with bench.read.work() as work:
        work.waits("leader", "no broker leads the assigned partitions")
        assert await bench.looks(3600) is None


async def test_the_time_of_a_claim_begins_when_kafka_answers(bench: Bench) -> None:
    bench.kafka = False
    with bench.commit.work() as commit:
        commit.waits("kafka", "no answer")
        assert await bench.looks(600) is None
        bench.kafka = True
        assert await bench.looks(CLAIM_SECONDS) is None
        commit.progressed()
        assert await bench.looks(16) is None


def test_a_process_that_was_suspended_is_not_stuck() -> None:
    now = 100.0
    clock = RunningClock(lambda: now)
    now = 101.0
    assert clock() == pytest.approx(1)
    now = 3701.0
    assert clock() == pytest.approx(6)


def test_a_loop_that_does_not_turn_is_counted_by_looks() -> None:
    watch = LoopWatch()
    assert [watch.look(beats) for beats in (0, 1, 1, 1, 2, 2)] == [0, 0, 1, 2, 0, 1]
