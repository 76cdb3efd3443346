"""The bridge with RabbitMQ and Kafka in memory: what is acknowledged when, and what its stage reports."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from structlog.testing import capture_logs

from streams import bridge as module
from streams.bridge import DEPTH_SECONDS, PAUSES, Bridge
from streams.contract import Created, PostId, dead_letter, encode_dead
from streams.letters import LetterLog
from streams.progress import Progress, Waiting
from streams.settings import Settings
from streams.subscription import Depth, Lost
from streams.telemetry import Metrics
from tests.streams.doubles import MemoryPublisher, MemoryRabbitMQ, MemorySubscription, Time, turns

SETTINGS = Settings.model_validate(
    {"amqp_url": "amqp://broker", "database_url": "postgres://database", "kafka_url": "kafka://broker", "prefetch": 4}
)
AWAY = "waiting for RabbitMQ: broker:5672: refused"


class Bench:
    """A bridge, and what it talks to."""

    def __init__(self, *, prefetch: int = 4, failures: Iterable[BaseException] = ()) -> None:
        self.time = Time()
        self.progress = Progress(self.time.clock)
        self.rabbitmq = MemoryRabbitMQ(prefetch, failures)
        self.kafka = MemoryPublisher(partitions=1)
        self.metrics = Metrics(CollectorRegistry(), self.progress)
        self.lines: list[tuple[str, int]] = []
        self.checkpoints: list[str] = []
        self.bridge = Bridge(
            SETTINGS,
            self.rabbitmq,
            self.kafka,
            stage=self.progress.stage("bridge"),
            metrics=self.metrics,
            letters=LetterLog(self.time.clock, lambda *line: self.lines.append(line)),
            checkpoint=self.checkpoints.append,
            gather=0,
            sleep=self.time.sleep,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.bridge.start()
        try:
            await turns()
            yield
        finally:
            for gate in (*self.kafka.gates.values(), self.rabbitmq.answers, self.rabbitmq.acknowledgements):
                gate.open()
            await self.bridge.stop()

    @property
    def announced(self) -> list[int]:
        return [post for record in self.kafka.created for post in record.ids]

    def metric(self, name: str) -> float:
        metric: MetricWrapperBase = getattr(self.metrics, name)
        return next(
            sample.value
            for family in metric.collect()
            for sample in family.samples
            if not sample.name.endswith("_created")
        )

    @property
    def dead(self) -> dict[str, float]:
        """How many dead letters are counted, by reason."""
        samples = [sample for family in self.metrics.dead.collect() for sample in family.samples]
        return {sample.labels["reason"]: sample.value for sample in samples if sample.name.endswith("_total")}


async def test_posts_that_arrive_together_are_announced_together_and_acknowledged_after_that() -> None:
    bench = Bench()
    bench.kafka.gate("posts.created").shut()
    bench.rabbitmq.publish(b"11", b"12", b'{"id":13}')
    async with bench.running():
        assert bench.rabbitmq.unacknowledged == [b"11", b"12", b'{"id":13}']
        assert (bench.metric("deliveries"), bench.metric("unacknowledged")) == (0, 3)
        assert bench.progress.waiting[0][:2] == ("bridge", "kafka")
        bench.kafka.gate("posts.created").open()
        await turns()
        assert bench.kafka.created == [Created([PostId(11), PostId(12), PostId(13)])]
        assert (bench.rabbitmq.unacknowledged, bench.rabbitmq.acknowledged) == ([], [b"11", b"12", b'{"id":13}'])
        assert (bench.metric("deliveries"), bench.metric("unacknowledged")) == (3, 0)
        assert bench.checkpoints == ["bridge.confirmed"] * 3
        assert bench.progress.waiting == []


async def test_what_is_no_id_is_set_aside_and_counted_once_that_is_confirmed() -> None:
    bench = Bench()
    bench.kafka.gate("posts.dead").shut()
    bench.rabbitmq.publish(b"poison", b"11", b"12")
    async with bench.running():
        # A letter that cannot be written keeps no post back.
        assert (bench.announced, bench.rabbitmq.unacknowledged) == ([11, 12], [b"poison"])
        assert (bench.lines, bench.dead) == ([], {})
        bench.kafka.gate("posts.dead").open()
        await turns()
        detail = "the body is neither 1 to 19 ASCII digits nor a JSON object"
        assert bench.kafka.values("posts.dead") == [encode_dead(dead_letter("not_an_id", detail, b"poison"))]
        assert bench.rabbitmq.unacknowledged == []
        assert bench.dead == {"not_an_id": 1}
    assert bench.lines == [("not_an_id", 1)]


async def test_without_a_connection_it_waits_for_rabbitmq_and_is_well_with_one_without_traffic() -> None:
    bench = Bench(failures=[Lost(AWAY)] * 3)
    bench.rabbitmq.answers.shut()
    async with bench.running():
        assert bench.progress.waiting == [Waiting("bridge", "rabbitmq", "not connected to RabbitMQ yet")]
        bench.rabbitmq.answers.open()
        await turns()
        assert bench.progress.waiting == [Waiting("bridge", "rabbitmq", AWAY)]
        await bench.time.advance(sum(PAUSES[:2]))
        assert bench.progress.waiting == [Waiting("bridge", "rabbitmq", AWAY)]
        await bench.time.advance(PAUSES[2])
        assert (bench.progress.waiting, bench.rabbitmq.subscriptions) == ([], 1)


async def test_what_was_not_acknowledged_when_the_connection_was_lost_comes_again() -> None:
    bench = Bench()
    bench.kafka.gate("posts.created").shut()
    bench.rabbitmq.publish(b"11", b"12")
    async with bench.running():
        bench.rabbitmq.lose(AWAY)
        await turns()
        bench.kafka.gate("posts.created").open()
        assert bench.progress.waiting == [Waiting("bridge", "rabbitmq", AWAY)]
        await bench.time.advance(PAUSES[0])
        assert (bench.announced, bench.rabbitmq.acknowledged) == ([11, 12], [b"11", b"12"])
        assert bench.progress.waiting == []


async def test_pauses_grow_to_two_seconds_and_begin_anew_after_the_first_acknowledgement() -> None:
    """Not after a subscription: one that ends at once, again and again, must not become a hot loop."""
    bench = Bench()
    async with bench.running():
        for number in range(8):
            bench.rabbitmq.lose(AWAY)
            await bench.time.advance(PAUSES[min(number, 5)])
            assert bench.rabbitmq.subscriptions == number + 2
        assert [pause for pause in bench.time.slept if pause != DEPTH_SECONDS] == [*PAUSES, 2.0, 2.0]
        bench.rabbitmq.publish(b"11")
        await turns()
        bench.rabbitmq.lose(AWAY)
        await turns()
        assert bench.time.slept[-1] == PAUSES[0]


async def test_an_unexpected_error_of_the_publisher_is_logged_once_with_a_traceback_and_tried_again() -> None:
    """Nothing is acknowledged for it, RabbitMQ is not blamed, and a stage that gets nowhere can be seen."""
    bench = Bench()
    bench.kafka.failures.extend([ZeroDivisionError("a defect")] * 9)
    bench.rabbitmq.publish(b"11")
    with capture_logs() as logs:
        async with bench.running():
            await bench.time.advance(sum(PAUSES))
            assert (bench.announced, bench.rabbitmq.unacknowledged) == ([], [b"11"])
            assert (bench.progress.waiting, bench.rabbitmq.subscriptions) == ([], 1)
            assert bench.progress.stalled(5) is not None
            await bench.time.advance(3 * PAUSES[-1])
            assert (bench.announced, bench.rabbitmq.acknowledged) == ([11], [b"11"])
            assert bench.progress.stalled(0) is None
    failures = [line for line in logs if line["event"] == "bridge.write_failed"]
    assert {line["error"] for line in failures} == {"ZeroDivisionError('a defect')"}
    assert [bool(line["exc_info"]) for line in failures] == [True] + [False] * 8


async def test_an_unexpected_error_of_its_own_is_logged_once_with_a_traceback_and_is_no_hot_loop() -> None:
    bench = Bench(failures=[TypeError("a defect")] * 8)
    with capture_logs() as logs:
        async with bench.running():
            await bench.time.advance(sum(PAUSES))
            assert bench.progress.waiting == []
            assert bench.progress.stalled(5) is not None
            await bench.time.advance(2 * PAUSES[-1])
            assert bench.rabbitmq.subscriptions == 1
            assert bench.progress.stalled(5) is not None
            bench.rabbitmq.publish(b"11")
            await turns()
            assert bench.progress.stalled(0) is None
    failures = [line for line in logs if line["event"] == "bridge.failed"]
    assert [bool(line["exc_info"]) for line in failures] == [True] + [False] * 7


async def test_the_depth_of_the_queue_is_asked_every_ten_seconds_and_unknown_without_a_connection() -> None:
    bench = Bench(prefetch=2)
    bench.kafka.gate("posts.created").shut()
    bench.rabbitmq.publish(b"11", b"12", b"13", b"14", b"15")
    assert math.isnan(bench.metric("queue_messages"))
    async with bench.running():
        assert bench.metric("queue_messages") == 3
        bench.rabbitmq.publish(b"16")
        await bench.time.advance(DEPTH_SECONDS - 1)
        assert bench.metric("queue_messages") == 3
        await bench.time.advance(1)
        assert bench.metric("queue_messages") == 4
        bench.rabbitmq.lose(AWAY)
        await turns()
        assert math.isnan(bench.metric("queue_messages"))


async def test_a_rabbitmq_that_does_not_answer_is_waited_for_from_the_fifth_second_on() -> None:
    bench = Bench()
    async with bench.running():
        bench.rabbitmq.answers.shut()
        await bench.time.advance(DEPTH_SECONDS)
        assert bench.progress.waiting == []
        await bench.time.advance(5)
        assert bench.progress.waiting == [Waiting("bridge", "rabbitmq", "RabbitMQ does not answer")]
        bench.rabbitmq.answers.open()
        await turns()
        assert bench.progress.waiting == []


async def test_a_consumer_that_hears_nothing_although_it_is_the_only_one_is_made_anew() -> None:
    bench = Bench()
    async with bench.running():
        bench.rabbitmq.withheld = True
        bench.rabbitmq.others = 1
        bench.rabbitmq.publish(b"11")
        await bench.time.advance(DEPTH_SECONDS)
        assert bench.progress.waiting[0].why == "nothing arrives although the queue holds 1 messages"
        await bench.time.advance(PAUSES[0])
        assert bench.rabbitmq.subscriptions == 2


@pytest.mark.parametrize("heard", [0, 1])
async def test_a_consumer_that_rabbitmq_has_forgotten_is_made_anew_within_ten_seconds(heard: int) -> None:
    """Also when it was heard of since the queue was asked before."""
    bench = Bench()
    async with bench.running():
        await bench.time.advance(1)
        bench.rabbitmq.publish(*[b"11"] * heard)
        await turns()
        bench.rabbitmq.withheld = True
        await bench.time.advance(DEPTH_SECONDS - 1)
        assert bench.progress.waiting[0].why == "RabbitMQ has no consumer of the queue any more"
        await bench.time.advance(PAUSES[0])
        assert bench.rabbitmq.subscriptions == 2


async def test_a_consumer_that_is_counted_late_is_left_alone() -> None:
    bench = Bench()
    bench.rabbitmq.withheld = True
    async with bench.running():
        await bench.time.advance(1)
        bench.rabbitmq.withheld = False
        await bench.time.advance(2 * DEPTH_SECONDS)
        assert bench.rabbitmq.subscriptions == 1


async def test_a_consumer_beside_others_that_hears_nothing_is_registered_anew_and_stays_connected() -> None:
    """RabbitMQ may deliver to another one only: a single active consumer, or one with a higher priority."""
    bench = Bench()
    async with bench.running():
        bench.rabbitmq.withheld = True
        bench.rabbitmq.others = 2
        bench.rabbitmq.publish(b"11")
        await bench.time.advance(2 * DEPTH_SECONDS)
        assert (bench.rabbitmq.renewals, bench.rabbitmq.subscriptions) == (2, 1)
        assert bench.progress.waiting == []


async def test_a_consumer_that_hears_nothing_for_half_a_minute_gets_a_new_channel_and_what_was_held_for_it() -> None:
    """The queue seems to be empty, and to have a consumer."""
    bench = Bench()
    async with bench.running():
        bench.rabbitmq.publish(b"11")
        await bench.time.advance(DEPTH_SECONDS)
        bench.rabbitmq.swallows = True
        bench.rabbitmq.publish(b"12", b"13")
        await bench.time.advance(2 * DEPTH_SECONDS)
        assert (bench.announced, bench.rabbitmq.renewals) == ([11], 0)
        await bench.time.advance(DEPTH_SECONDS)
        await bench.time.advance(1)
        assert (bench.announced, bench.rabbitmq.renewals, bench.rabbitmq.subscriptions) == ([11, 12, 13], 1, 1)
        assert bench.rabbitmq.acknowledged == [b"11", b"12", b"13"]
        assert bench.progress.waiting == []


async def test_what_still_comes_is_acknowledged_before_a_consumer_gets_its_new_channel() -> None:
    """On that, the tags begin anew."""
    bench = Bench()
    gate = bench.kafka.gate("posts.created")
    async with bench.running():
        gate.shut()
        bench.rabbitmq.late = [b"11"]
        await bench.time.advance(4 * DEPTH_SECONDS)
        assert (bench.rabbitmq.unacknowledged, bench.rabbitmq.renewals) == ([b"11"], 0)
        gate.open()
        await turns()
        assert (bench.rabbitmq.acknowledged, bench.rabbitmq.renewals) == ([b"11"], 1)


async def test_a_consumer_that_hears_something_or_holds_something_is_left_alone() -> None:
    bench = Bench(prefetch=1)
    bench.kafka.gate("posts.created").shut()
    async with bench.running():
        bench.rabbitmq.publish(b"11", b"12")
        await bench.time.advance(3 * DEPTH_SECONDS)
        assert (bench.rabbitmq.renewals, bench.rabbitmq.subscriptions) == (0, 1)


async def test_a_stop_takes_no_more_and_waits_until_what_is_in_flight_is_acknowledged() -> None:
    bench = Bench()
    bench.kafka.gate("posts.created").shut()
    bench.kafka.gate("posts.dead").shut()
    bench.rabbitmq.publish(b"11", b"poison")
    async with bench.running():
        stopping = asyncio.create_task(bench.bridge.stop())
        await turns()
        bench.rabbitmq.publish(b"12")
        await turns()
        assert not stopping.done()
        bench.kafka.gate("posts.created").open()
        await turns()
        assert (stopping.done(), bench.rabbitmq.acknowledged) == (False, [b"11"])
        bench.kafka.gate("posts.dead").open()
        await stopping
    assert (bench.rabbitmq.acknowledged, bench.rabbitmq.ready) == ([b"11", b"poison"], [b"12"])
    assert bench.rabbitmq.subscriptions == 1


async def test_a_stop_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.01)
    bench = Bench()
    bench.kafka.gate("posts.created").shut()
    bench.rabbitmq.publish(b"11")
    with capture_logs() as logs:
        async with bench.running():
            await bench.bridge.stop()
            assert bench.rabbitmq.ready == [b"11"]
    told: list[dict[str, Any]] = [dict(line) for line in logs if line["event"] == "bridge.not_drained"]
    assert [line["deliveries"] for line in told] == [1]


async def test_a_stop_whose_connection_is_lost_meanwhile_waits_for_nothing() -> None:
    bench = Bench()
    bench.kafka.gate("posts.created").shut()
    bench.rabbitmq.publish(b"11")
    async with bench.running():
        stopping = asyncio.create_task(bench.bridge.stop())
        await turns()
        bench.rabbitmq.lose(AWAY)
        bench.kafka.gate("posts.created").open()
        await stopping
        assert bench.rabbitmq.ready == [b"11"]


async def test_a_stop_without_a_connection_is_at_once() -> None:
    bench = Bench(failures=[Lost(AWAY)] * 100)
    async with bench.running():
        await bench.bridge.stop()
    assert bench.rabbitmq.subscriptions == 0


async def test_a_question_that_the_library_cancels_ends_the_subscription_and_not_the_bridge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So does aiormq, when it gives a silent connection up."""
    ask = MemorySubscription.depth
    questions = 0

    async def depth(self: MemorySubscription) -> Depth:
        nonlocal questions
        questions += 1
        if questions == 1:
            raise asyncio.CancelledError
        return await ask(self)

    monkeypatch.setattr(MemorySubscription, "depth", depth)
    bench = Bench()
    async with bench.running():
        await bench.time.advance(1)
        bench.rabbitmq.publish(b"11")
        await turns()
        assert (bench.rabbitmq.subscriptions, bench.rabbitmq.acknowledged) == (2, [b"11"])


async def test_an_attempt_to_subscribe_that_the_library_cancels_is_followed_by_another() -> None:
    bench = Bench(failures=[asyncio.CancelledError()])
    bench.rabbitmq.publish(b"11")
    async with bench.running():
        await bench.time.advance(1)
        assert bench.rabbitmq.acknowledged == [b"11"]


async def test_a_write_that_the_library_cancels_is_repeated() -> None:
    bench = Bench()
    bench.kafka.failures.append(asyncio.CancelledError())
    bench.rabbitmq.publish(b"11")
    async with bench.running():
        await bench.time.advance(1)
        assert (bench.announced, bench.rabbitmq.acknowledged) == ([11], [b"11"])
