"""A worker is ready when it waits for nothing, and says what it waits for once."""

import structlog
from structlog.testing import capture_logs

from streams.telemetry import Health


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
