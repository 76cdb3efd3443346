"""A worker is ready when it waits for nothing, and says what it waits for once."""

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from streams import __version__
from streams.contract import Partition
from streams.progress import Progress, Waiting
from streams.telemetry import Metrics, WaitingLog, readiness


def test_readiness_has_a_line_for_each_stage_that_waits() -> None:
    progress = Progress(lambda: 0.0)
    assert readiness(progress) == (200, "ok\n")
    bridge, look_up = progress.stage("bridge"), progress.stage("look up")
    with bridge.work() as bridging, look_up.work() as looking:
        assert readiness(progress) == (200, "ok\n")
        looking.waits("database", "waiting for the database")
        bridging.waits("rabbitmq", "waiting for RabbitMQ")
        assert readiness(progress) == (
            503,
            "bridge: waiting for RabbitMQ\nlook up: waiting for the database\n",
        )
        bridging.progressed()
        assert readiness(progress) == (503, "look up: waiting for the database\n")
    assert readiness(progress) == (200, "ok\n")


def test_a_change_is_logged_once_and_not_each_attempt() -> None:
    structlog.reset_defaults()
    refused, away = Waiting("look up", "database", "refused"), Waiting("publish", "kafka", "away")
    log = WaitingLog()
    with capture_logs() as logs:
        for waiting in ([], [refused], [refused], [refused, away], [away], [away], [], []):
            log.update(waiting)
    assert [(line["event"], line["part"], line.get("why")) for line in logs] == [
        ("service.waiting", "look up", "refused"),
        ("service.waiting", "publish", "away"),
        ("service.well", "look up", None),
        ("service.well", "publish", None),
    ]


def test_another_reason_is_a_change() -> None:
    structlog.reset_defaults()
    log = WaitingLog()
    with capture_logs() as logs:
        log.update([Waiting("look up", "database", "refused")])
        log.update([Waiting("look up", "database", "starting up")])
    assert [line["why"] for line in logs] == ["refused", "starting up"]


def test_two_reasons_of_a_stage_are_one_line() -> None:
    structlog.reset_defaults()
    log = WaitingLog()
    with capture_logs() as logs:
        for _ in range(2):
            log.update([Waiting("bridge", "rabbitmq", "a"), Waiting("bridge", "kafka", "b")])
    assert [line["why"] for line in logs] == ["a; b"]


def test_the_metrics_say_who_waits_and_for_how_long_a_statement_has_been_under_way() -> None:
    now = 0.0
    progress, registry = Progress(lambda: now), CollectorRegistry()
    Metrics(registry, progress)
    assert registry.get_sample_value("postcast_statement_age_seconds") == 0
    look_up, publish = progress.stage("look up"), progress.stage("publish")
    with look_up.work() as work, work.asks("database", "a statement is under way"), publish.work():
        now = 7.0
        assert registry.get_sample_value("postcast_statement_age_seconds") == 7
        assert registry.get_sample_value("postcast_waiting", {"part": "look up"}) == 1
        assert registry.get_sample_value("postcast_waiting", {"part": "publish"}) == 0
    assert registry.get_sample_value("postcast_waiting", {"part": "look up"}) == 0


async def test_tasks_memory_and_version_are_among_the_metrics() -> None:
    registry = CollectorRegistry()
    Metrics(registry, Progress(lambda: 0.0))
    assert registry.get_sample_value("postcast_build_info", {"version": __version__}) == 1
    assert (registry.get_sample_value("postcast_tasks") or 0) >= 1
    assert b"process_resident_memory_bytes" in generate_latest(registry)


def test_metrics_can_be_asked_for_outside_of_an_event_loop() -> None:
    registry = CollectorRegistry()
    Metrics(registry, Progress(lambda: 0.0))
    assert registry.get_sample_value("postcast_tasks") == 0


class Held:
    """A flow with a backlog on partition 3."""

    held_live = 7
    held_overdue = 5000
    behind = frozenset({Partition(3)})

    def lags(self) -> dict[Partition, tuple[int, float]]:
        return {Partition(0): (7, 1.5), Partition(3): (500_000, 3600.0)}


def test_what_is_held_and_what_is_behind_is_read_when_it_is_asked_for() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry, Progress(lambda: 0.0))
    assert registry.get_sample_value("postcast_held_ids", {"kind": "live"}) is None
    metrics.read_from(Held())
    assert registry.get_sample_value("postcast_held_ids", {"kind": "live"}) == 7
    assert registry.get_sample_value("postcast_held_ids", {"kind": "overdue"}) == 5000
    assert registry.get_sample_value("postcast_partitions_behind") == 1
    assert registry.get_sample_value("postcast_lag_records", {"partition": "3"}) == 500_000
    assert registry.get_sample_value("postcast_lag_seconds", {"partition": "0"}) == 1.5
