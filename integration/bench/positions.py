"""Acknowledged positions: what it costs an edge and PostgreSQL to store them, beside clients that say nothing.

So many devices, of a user each, get a post a second and acknowledge what they have got. What they cost is the
difference of CPU time to a run in which nobody acknowledges: the edge's, and PostgreSQL's where that is a process of
ours.
"""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from typing import Final, NamedTuple

import psutil

from edge.positions.postgres import PostgresStore
from integration.bench.companion import companion
from integration.bench.feed import Feed
from integration.bench.figures import Figure, Goal
from integration.bench.stage import Stage
from integration.bench.usage import cpu_seconds, serving, turns_of
from runtime.database_url import parse

PART: Final = "positions"
_MINUTE: Final = 60.0
_POSTGRES: Final = "postgres"


@dataclass(frozen=True)
class Size:
    """How much is measured: so many ``devices`` acknowledge ``pace`` times a minute in all, for so many seconds."""

    devices: int = 1_000
    pace: int = 50_000
    seconds: float = 60
    repetitions: int = 2


class _Run(NamedTuple):
    acked: int
    failed: int
    edge: float
    """CPU seconds."""
    postgres: float | None
    long_turns: float


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Acknowledge, and do not, in turn."""
    store = PostgresStore(parse(stage.database_url))
    try:
        await store.create()
    finally:
        await store.close()
    said: list[_Run] = []
    silent: list[_Run] = []
    for number in range(1, size.repetitions + 1):
        stage.say(f"{PART}: {size.devices:,} devices, {number} of {size.repetitions}")
        silent.append(await _run(stage, size, 0))
        said.append(await _run(stage, size, size.pace))
    minutes = size.seconds / _MINUTE
    at: dict[str, str | int] = {"devices": size.devices, "pace": size.pace}
    told = f"{size.devices:,} devices, {size.pace:,} acknowledgements a minute"
    failed = sum(run.failed for run in said)
    figures = [
        Figure(
            PART,
            f"answered as stored: {told}",
            "a minute",
            [run.acked / minutes for run in said],
            Goal("at least", 0.99 * size.pace),
            f"{failed} were not",
            at,
        ),
        Figure(
            PART,
            f"the edge's CPU time for them: {told}",
            "s a minute",
            [(one.edge - other.edge) / minutes for one, other in zip(said, silent, strict=True)],
            at=at,
        ),
        Figure(
            PART,
            "turns of more than 20 ms of CPU time",
            "a minute",
            [run.long_turns / minutes for run in said],
            Goal("at most", 0.5),
            at=at,
        ),
    ]
    used = [(one.postgres, other.postgres) for one, other in zip(said, silent, strict=True)]
    spent = [(one - other) / minutes for one, other in used if one is not None and other is not None]
    if spent:
        figures.append(Figure(PART, f"PostgreSQL's CPU time for them: {told}", "s a minute", spent, at=at))
    return figures


async def _run(stage: Stage, size: Size, pace: int) -> _Run:
    key = secrets.token_hex(32)
    settings = {"POSITIONS_URL": stage.database_url, "JWT_SECRET_KEY": key, "MESSAGES_PER_SECOND": 100}
    async with stage.installation(**settings) as (system, edge), stage.producer() as producer:
        feed = Feed(producer, system.feed)
        module = "integration.bench.acknowledgers"
        async with companion(module, edge.port, size.devices, environment={"KEY": key}) as devices:
            await devices.answer()
            showing = asyncio.create_task(_show(feed))
            # The first statement, and the first rows.
            await devices.ask(pace=pace / _MINUTE, seconds=size.devices / (size.pace / _MINUTE))
            before = cpu_seconds(serving(edge.port)), _postgres_seconds(), await turns_of(edge)
            answer = await devices.ask(pace=pace / _MINUTE, seconds=size.seconds)
            after = cpu_seconds(serving(edge.port)), _postgres_seconds(), await turns_of(edge)
            showing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await showing
    turns = [each.all - each.cheap for each in (before[2], after[2])]
    postgres = None if before[1] is None or after[1] is None else after[1] - before[1]
    return _Run(answer["acked"], answer["failed"], after[0] - before[0], postgres, turns[1] - turns[0])


async def _show(feed: Feed) -> None:
    """Write a post a second."""
    while True:
        await feed.window(1)
        await asyncio.sleep(1)


def _postgres_seconds() -> float | None:
    """Return the CPU time of PostgreSQL's processes; None where it is not a process of ours."""
    servers = [child for child in psutil.Process().children(recursive=True) if child.name() == _POSTGRES]
    return sum(map(cpu_seconds, servers)) if servers else None
