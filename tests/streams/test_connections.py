"""The database is asked once at the start, and until it answers the worker is not ready."""

import asyncio

import pytest
import structlog
from structlog.testing import capture_logs

from streams.connections import until_answered
from streams.lookup import TimedOut, Unavailable, Unusable
from streams.progress import Progress, Stage
from tests.streams.doubles import MemoryLookup


class Bench:
    """A stage, and what it said before each pause."""

    def __init__(self) -> None:
        self.progress = Progress(lambda: 0.0)
        self.stage: Stage = self.progress.stage("look up")
        self.said: list[tuple[float, str]] = []

    async def sleep(self, seconds: float) -> None:
        [waiting] = self.progress.waiting
        assert waiting.service == "database"
        self.said.append((seconds, waiting.why))


async def test_the_worker_waits_before_the_first_answer_and_is_ready_after_it() -> None:
    bench, lookup = Bench(), MemoryLookup()
    lookup.gate.shut()
    asking = asyncio.create_task(until_answered(lookup, bench.stage, bench.sleep))
    await asyncio.sleep(0)
    assert [waiting.why for waiting in bench.progress.waiting] == ["the database (PostgreSQL) has not answered yet"]
    lookup.gate.open()
    await asking
    assert bench.progress.waiting == []
    assert bench.said == []


async def test_a_database_that_is_away_or_locked_is_asked_again_and_named() -> None:
    bench = Bench()
    lookup = MemoryLookup(check_failures=[Unavailable("refused"), TimedOut("10 s"), Unavailable("refused")])
    await until_answered(lookup, bench.stage, bench.sleep)
    assert bench.said == [
        (0.1, "waiting for the database (PostgreSQL): refused"),
        (0.2, "the database (PostgreSQL) takes too long: 10 s"),
        (0.4, "waiting for the database (PostgreSQL): refused"),
    ]
    assert bench.progress.waiting == []


async def test_a_configuration_that_cannot_work_is_the_callers_business() -> None:
    bench = Bench()
    lookup = MemoryLookup(check_failures=[Unavailable("refused"), Unusable("DATABASE_URL has no such TimeZone")])
    with pytest.raises(Unusable, match="TimeZone"):
        await until_answered(lookup, bench.stage, bench.sleep)
    assert bench.progress.waiting == []


async def test_an_error_that_nobody_expects_is_logged_once_and_waited_for() -> None:
    structlog.reset_defaults()
    bench = Bench()
    with capture_logs() as logs:
        await until_answered(MemoryLookup(check_failures=[KeyError("id")] * 3), bench.stage, bench.sleep)
    assert [why for _, why in bench.said] == ["the database (PostgreSQL) fails: KeyError('id')"] * 3
    assert [line["event"] for line in logs] == ["lookup.failed"]
