"""A worker is ready when it waits for nothing, and says what it waits for once."""

import logging

import structlog
from structlog.testing import capture_logs

from streams.telemetry import Health, Once


def test_a_worker_is_not_ready_before_each_part_said_so() -> None:
    health = Health("kafka", "rabbitmq")
    health.well("kafka")
    assert health.problems == {"rabbitmq": "not started yet"}
    health.well("rabbitmq")
    assert health.problems == {}


def test_a_change_is_logged_once_and_not_each_attempt() -> None:
    structlog.reset_defaults()
    with capture_logs() as logs:
        health = Health()
        for _ in range(3):
            health.waiting("database", "refused")
        health.well("database")
        health.well("database")
    assert [(entry["event"], entry["part"]) for entry in logs] == [
        ("service.waiting", "database"),
        ("service.well", "database"),
    ]


def test_a_line_that_was_just_logged_is_not_logged_again() -> None:
    once = Once()

    def passes(text: str, second: float) -> bool:
        record = logging.LogRecord("aiokafka", logging.ERROR, "conn.py", 1, text, None, None)
        record.created = second
        return bool(once.filter(record))

    assert [passes("away", 0), passes("away", 5), passes("back", 5), passes("away", 10)] == [True, False, True, True]


def test_remembering_lines_is_bounded() -> None:
    once = Once()
    for number in range(1000):
        record = logging.LogRecord("x", logging.INFO, "x.py", 1, "line %d", (number,), None)
        assert once.filter(record)
        assert len(once._last) <= 100  # noqa: SLF001 - the bound is what is promised
