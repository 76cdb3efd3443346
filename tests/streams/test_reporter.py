"""What the worker waits for is in the log a second later, from its start to its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from structlog.testing import capture_logs

from streams.progress import Progress
from streams.reporter import Reporter
from tests.streams.virtual import virtual


@asynccontextmanager
async def reporting(progress: Progress, *warnings: str) -> AsyncIterator[list[Any]]:
    """Run a reporter; yield what it logs."""
    structlog.reset_defaults()
    reporter = Reporter(progress, warnings)
    with capture_logs() as logs:
        await reporter.start()
        try:
            yield logs
        finally:
            await reporter.stop()


def events(logs: list[Any]) -> list[tuple[str, str]]:
    return [(line["event"], line.get("why") or line["part"]) for line in logs]


@virtual
async def test_what_is_odd_about_the_settings_is_said_at_the_start() -> None:
    async with reporting(Progress(lambda: 0.0), "KAFKA_BROKERS is not read", "PG_URL is not read") as logs:
        assert events(logs) == [
            ("settings.unread", "KAFKA_BROKERS is not read"),
            ("settings.unread", "PG_URL is not read"),
        ]
        assert {line["log_level"] for line in logs} == {"warning"}
        await asyncio.sleep(100)
        assert len(logs) == 2


@virtual
async def test_a_change_is_in_the_log_within_a_second_and_once() -> None:
    progress = Progress(lambda: 0.0)
    bridge = progress.stage("bridge")
    async with reporting(progress) as logs:
        await asyncio.sleep(100)
        assert logs == []
        with bridge.work() as work:
            work.waits("rabbitmq", "refused")
            await asyncio.sleep(1.001)
            assert events(logs) == [("service.waiting", "refused")]
            await asyncio.sleep(100)
            work.waits("rabbitmq", "no such user")
            await asyncio.sleep(1.001)
            assert events(logs)[1:] == [("service.waiting", "no such user")]
        await asyncio.sleep(1.001)
        assert events(logs)[2:] == [("service.well", "bridge")]
        await asyncio.sleep(100)
        assert len(logs) == 3


@virtual
async def test_what_is_waited_for_at_the_start_is_said_at_once() -> None:
    progress = Progress(lambda: 0.0)
    with progress.stage("start").work() as work:
        work.waits("start", "the worker has not started yet")
        async with reporting(progress) as logs:
            await asyncio.sleep(0.001)
            assert events(logs) == [("service.waiting", "the worker has not started yet")]


@virtual
async def test_a_reporter_that_has_stopped_says_nothing_more() -> None:
    progress = Progress(lambda: 0.0)
    async with reporting(progress) as logs:
        pass
    with capture_logs() as logs, progress.stage("bridge").work() as work:
        work.waits("rabbitmq", "refused")
        await asyncio.sleep(100)
    assert logs == []
