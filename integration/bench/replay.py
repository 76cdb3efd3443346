"""Clients that come back an hour behind, all at once, to an edge that has nothing of it in memory; one takes nothing.

The hour is of windows of 50 posts, one each 5 s: 10 posts a second. Measured is how long it takes until all but the one
are live, how much of Kafka was read for it beside what a single reader needs, and how much later clients at the head
get their posts meanwhile.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.feed.position import Cursor, position_of, stamp_of
from integration.bench.companion import companion
from integration.bench.crowd import crowd
from integration.bench.feed import Feed, Show
from integration.bench.figures import Figure, Goal, percentile
from integration.bench.posts import FIRST_ID, feed_record
from integration.bench.stage import Stage
from integration.bench.usage import Turns, turns_of
from integration.system import Process
from streams.contract import Offset

PART: Final = "replay"
_MOST_READ: Final = Goal("at most", 3)
_TURNS: Final = Goal("at least", 1)
_MOVES: Final = 0.2
_MOVES_SECONDS: Final = 0.005
"""The median may move by the larger of the two."""
_PACE_SECONDS: Final = 0.5
_JOIN_SECONDS: Final = 60
"""On a busy machine Kafka takes its time, and nobody is to be refused."""
_PATIENCE_SECONDS: Final = 600


@dataclass(frozen=True)
class Size:
    """How much is measured: ``behind`` records are missed, and ``reach`` are before them."""

    clients: int = 1_000
    head: int = 100
    posts: int = 50
    behind: int = 720
    reach: int = 1_000
    windows: int = 20


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Have the clients come back, and send windows to clients at the head before that and until it is over."""
    posts = size.posts * size.behind
    stage.say(f"{PART}: {size.clients:,} clients come back {posts:,} posts behind, one of them takes nothing")
    async with stage.installation() as (system, first), stage.producer() as producer:
        feed = Feed(producer, system.feed)
        for _ in range(size.reach + size.behind):
            await feed.window(size.posts)
        await asyncio.to_thread(first.kill)
        edge = system.edge(HISTORY_RECORDS=1, JOIN_SECONDS=_JOIN_SECONDS)
        await asyncio.to_thread(edge.until_ready)
        seen, needed = _seen(size)
        async with (
            crowd(edge.port, size.head, deflated=False) as clients,
            companion("integration.bench.returning", edge.port, f"?cursor={seen}") as returning,
        ):
            show = Show(feed, clients)
            await show.window(size.posts)
            quiet = [await _window(show, size) for _ in range(size.windows)]
            before, begin, busy = await turns_of(edge), time.monotonic(), []
            connected = asyncio.create_task(returning.ask(clients=size.clients))
            while not await asyncio.to_thread(_is_over, edge, size):
                busy.append(await _window(show, size))
                assert time.monotonic() < begin + _PATIENCE_SECONDS, "not all of them have come back"
            seconds = time.monotonic() - begin
            await connected
            turns = Turns(*(late - early for late, early in zip(await turns_of(edge), before, strict=True)))
            read = edge.metric("postcast_edge_replay_bytes_total")
            replays = edge.metric("postcast_edge_replays_begun_total")
    moved = statistics.median(busy) - statistics.median(quiet)
    goal = Goal("at most", max(_MOVES * statistics.median(quiet), _MOVES_SECONDS))
    name = f"{size.clients:,} clients {posts:,} posts behind, one of them slow"
    return [
        Figure(PART, f"{name}: until all but that one are live", "s", [seconds], note=f"{replays:.0f} replays"),
        Figure(PART, f"{name}: bytes read of Kafka, by one reader's", "", [read / needed], _MOST_READ),
        _delay(size, "before", quiet),
        _delay(size, "meanwhile", busy),
        Figure(PART, "the median moves by", "s", [moved], goal),
        Figure(PART, "turns of at most 20 ms of CPU time", "of all", [turns.cheap / turns.all], _TURNS),
    ]


def _seen(size: Size) -> tuple[Cursor, int]:
    """Return the cursor behind the last record that clients have seen, and what one reader has to read, in bytes."""
    firsts = range(FIRST_ID, FIRST_ID + size.posts * (size.reach + size.behind), size.posts)
    values = [feed_record(range(first, first + size.posts)) for first in firsts]
    value = values[size.reach - 1]
    cursor = Cursor(position_of(Offset(size.reach - 1), size.posts), stamp_of(value))
    return cursor, sum(map(len, values))


async def _window(show: Show, size: Size) -> float:
    begin = time.monotonic()
    delay = await show.window(size.posts)
    await asyncio.sleep(begin + _PACE_SECONDS - time.monotonic())
    return delay


def _is_over(edge: Process, size: Size) -> bool:
    """Tell whether all have come and none but the slow one reads a replay or waits for what it missed."""
    come = edge.connections() >= size.clients + size.head
    return come and edge.metric("postcast_edge_replay_readers") <= 1 and edge.metric("postcast_edge_lagging") <= 1


def _delay(size: Size, when: str, delays: Sequence[float]) -> Figure:
    return Figure(
        PART, f"{size.head} clients at the head, {when}: p50 to the last byte", "s", [percentile(delays, 0.5)]
    )
