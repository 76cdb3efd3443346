"""Waiting for RabbitMQ is told from failing by oneself."""

from streams.outage import Outage
from streams.progress import Progress, Waiting


class Bench:
    """An outage, and who reads of it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.progress = Progress(lambda: self.now)
        self.outage = Outage(self.progress.stage("bridge"))


def test_it_waits_for_rabbitmq_with_the_latest_sentence_until_it_ends() -> None:
    bench = Bench()
    bench.outage.waits("one")
    bench.outage.waits("other")
    bench.now += 100
    assert bench.progress.waiting == [Waiting("bridge", "rabbitmq", "other")]
    assert bench.progress.stalled(10) is None
    bench.outage.ends()
    bench.outage.ends()
    assert bench.progress.waiting == []


def test_a_failure_waits_for_nothing_and_stalls_however_often_it_comes() -> None:
    bench = Bench()
    bench.outage.waits("one")
    for _ in range(6):
        bench.outage.fails()
        bench.now += 2
    assert bench.outage.failing
    assert bench.progress.waiting == []
    assert bench.progress.stalled(11) is not None
    bench.outage.ends()
    assert not bench.outage.failing
    assert bench.progress.stalled(0) is None


def test_after_a_failure_it_can_wait_again() -> None:
    bench = Bench()
    bench.outage.fails()
    bench.outage.waits("one")
    assert not bench.outage.failing
    assert bench.progress.waiting == [Waiting("bridge", "rabbitmq", "one")]
