"""The live feed while clients come back: with a full log, and 200 of them a second at random places, compressed.

Each of them has megabytes to get, so the edge is busy with them all the time; the clients at the head should hardly
notice. The clock begins before a record is sent to Kafka, so what Kafka takes is in each delay. Everything shares the
machine's cores, and on a busy machine a part of what the delay moves by is the others'. So the hub is measured alone as
well, by CPU time (:mod:`integration.bench.beside`).
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge.settings import Settings
from integration.bench.companion import companion
from integration.bench.crowd import crowd
from integration.bench.feed import Feed, Show
from integration.bench.figures import Figure, Goal, percentile
from integration.bench.stage import Stage
from integration.bench.usage import Turns, cpu_seconds, serving, turns_of
from integration.system import Process

PART: Final = "comeback"
_TURN: Final = Goal("at most", 0.02)
_ALL: Final = Goal("at least", 1)
_MOVES: Final = 0.2
_MOVES_SECONDS: Final = 0.005
"""The median may move by the larger of the two."""
_PACE_SECONDS: Final = 0.1
_JOIN_SECONDS: Final = 60
"""On a busy machine Kafka takes its time, and nobody is to be refused."""
_JOIN_RATE: Final[int] = Settings.model_fields["join_rate"].default
"""As an edge has it that nobody has told otherwise: clients that come back are what it is for."""
_MANY: Final = 1_000_000
_SHARES: Final = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    head: int = 100
    rate: int = 200
    posts: int = 50
    records: int = 3_000
    windows: int = 200
    cpu_seconds: float = 10


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Send windows to clients at the head, first with nobody else there, and then with those that come back."""
    stage.say(f"{PART}: {size.rate} clients a second come back to a full log, with {size.head} at its head")
    async with (
        stage.installation(JOIN_SECONDS=_JOIN_SECONDS, JOIN_RATE=_JOIN_RATE) as (system, edge),
        stage.producer() as producer,
    ):
        feed = Feed(producer, system.feed)
        for _ in range(size.records):
            await feed.window(size.posts)
        await asyncio.to_thread(
            edge.until, lambda: edge.metric("postcast_edge_feed_offset") >= size.records, "has read the feed"
        )
        in_log = int(edge.metric("postcast_edge_log_posts"))
        async with (
            crowd(edge.port, size.head, deflated=False) as clients,
            companion("integration.bench.comebacks", edge.port, size.rate, in_log) as comebacks,
        ):
            show = Show(feed, clients)
            await show.window(size.posts)
            quiet = await _delays(show, size)
            before, process = await turns_of(edge), serving(edge.port)
            begin, cpu = time.monotonic(), cpu_seconds(process)
            comebacks.tell(come=_MANY, seconds=size.windows * _PACE_SECONDS)
            busy = await _delays(show, size)
            cpu = (cpu_seconds(process) - cpu) / (time.monotonic() - begin)
            turns = Turns(*(late - early for late, early in zip(await turns_of(edge), before, strict=True)))
            waits = await asyncio.to_thread(_waits, edge)
            come = await comebacks.answer()
    alone = [await _alone(rate, size.cpu_seconds) for rate in (0, size.rate)]
    note = f"{come['clients']:,} came, {come['served']:,} were served, {come['closed']:,} fell behind; "
    note += f"{come['bytes'] / 1e6:,.0f} MB in all; {waits}"
    moved = statistics.median(busy) - statistics.median(quiet)
    goal = Goal("at most", max(_MOVES * statistics.median(quiet), _MOVES_SECONDS))
    return [
        *(_delay(f"{size.head} clients at the head", quiet, share) for share in _SHARES),
        *(_delay(f"{size.head} clients at the head, {size.rate} a second come back", busy, share) for share in _SHARES),
        Figure(PART, "the median moves by", "s", [moved], goal, note=note),
        Figure(PART, "turns of at most 20 ms of CPU time", "of all", [turns.cheap / turns.all], _ALL),
        Figure(PART, "the edge's CPU", "cores", [cpu]),
        *_by_cpu(size, *alone),
    ]


async def _alone(rate: float, seconds: float) -> dict[str, Any]:
    async with companion("integration.bench.beside", rate, seconds) as hub:
        return await hub.answer()


def _by_cpu(size: Size, quiet: dict[str, Any], busy: dict[str, Any]) -> list[Figure]:
    """Say what the same costs by CPU time, in the hub alone."""
    before, after = (statistics.median(each["delays"]) for each in (quiet, busy))
    goal = Goal("at most", max(_MOVES * before, _MOVES_SECONDS))
    name, note = "the hub alone, by CPU time", f"{busy['sent'] / 1e6:,.0f} MB in {size.cpu_seconds:g} s"
    return [
        Figure(PART, f"{name}: p50 from a record to the last write at the head", "s", [before]),
        Figure(PART, f"{name}: the same while {size.rate} a second come back", "s", [after], note=note),
        Figure(PART, f"{name}: the median moves by", "s", [after - before], goal),
        Figure(PART, f"{name}: the longest turn", "s", [busy["longest"]], _TURN),
    ]


async def _delays(show: Show, size: Size) -> list[float]:
    delays = []
    for _ in range(size.windows):
        begin = time.monotonic()
        delays.append(await show.window(size.posts))
        await asyncio.sleep(begin + _PACE_SECONDS - time.monotonic())
    return delays


def _delay(name: str, delays: Sequence[float], share: float) -> Figure:
    return Figure(PART, f"{name}: p{100 * share:.0f} to the last byte", "s", [percentile(delays, share)])


def _waits(edge: Process) -> str:
    """Say how many clients wait for their turn in the end, and for how long the first has."""
    kinds = ("newcomers", "laggards")
    clients, oldest = "postcast_edge_agenda_clients", "postcast_edge_agenda_oldest_seconds"
    told = (
        f"{edge.metric(clients, kind=kind):.0f} {kind} for {edge.metric(oldest, kind=kind):.2f} s" for kind in kinds
    )
    return f"in the end wait {' and '.join(told)}"
