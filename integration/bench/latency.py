"""Latency: from a record to the last client's last byte, over many windows of 1 to 50 posts.

The clock begins before the record is sent to Kafka, so what Kafka takes is in it. Beside it stands the edge's own
measure of its loop's turns, which should take 20 ms at most. By CPU time: by the clock a turn is also as long as others
have the core, which is told, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from integration.bench.crowd import crowd
from integration.bench.feed import LARGEST_WINDOW, Feed, Show, sizes_of
from integration.bench.figures import Figure, Goal, percentile
from integration.bench.stage import Stage
from integration.bench.usage import Turns, turns_of

PART: Final = "latency"
_P99: Final = Goal("at most", 0.12)
_ALL: Final = Goal("at least", 1)


@dataclass(frozen=True)
class Size:
    """How much is measured; the goals are for the last of ``clients``."""

    clients: Sequence[int] = (1_000, 2_000, 5_000, 10_000)
    windows: int = 200


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Send the same windows to more and more clients, each time to an edge of their own."""
    figures: list[Figure] = []
    for clients in size.clients:
        goals = (_P99, _ALL) if clients == size.clients[-1] else (None, None)
        figures += await _figures(stage, clients, size.windows, *goals)
    return figures


async def _figures(stage: Stage, clients: int, windows: int, p99: Goal | None, cheap: Goal | None) -> list[Figure]:
    stage.say(f"{PART}: {windows} windows for {clients:,} clients")
    async with (
        stage.installation() as (system, edge),
        stage.producer() as producer,
        crowd(edge.port, clients) as connected,
    ):
        show = Show(Feed(producer, system.feed), connected)
        # The first one is not counted: it may wait for a connection or fill a cache.
        await show.window(1)
        before = await turns_of(edge)
        delays = [await show.window(posts) for posts in sizes_of(windows)]
        note = f"{windows} windows of 1 to {LARGEST_WINDOW}, clients {connected.take_saturation():.0%} busy"
        name = f"{clients:,} clients"
        after = await turns_of(edge)
        turns = Turns(*(late - early for late, early in zip(after, before, strict=True)))
        return [
            *(
                Figure(
                    PART,
                    f"{name}: p{100 * share:.0f} to the last byte",
                    "s",
                    [percentile(delays, share)],
                    goal,
                    note=note,
                    at={"clients": clients, "percentile": round(100 * share)},
                )
                for share, goal in ((0.5, None), (0.99, p99))
            ),
            Figure(PART, f"{name}: turns of at most 20 ms of CPU time", "of all", [turns.cheap / turns.all], cheap),
            Figure(PART, f"{name}: turns of at most 20 ms by the clock", "of all", [turns.short / turns.all]),
        ]
