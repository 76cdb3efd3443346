"""The storm: all clients come back at once with their cursors. The drain: an edge that ends sends all of them away.

While they come back Kafka is frozen: what the log holds is served without it. What the drained clients miss while
they move is on the feed, and they must have it from the other edge. They check every byte that they get.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from integration.bench.companion import ANSWER_SECONDS, Companion, companion
from integration.bench.feed import Feed, sizes_of
from integration.bench.figures import Figure, Goal
from integration.bench.stage import Stage
from integration.bench.usage import cpu_seconds, serving
from integration.system import Process

PART: Final = "storm"
_PACE_SECONDS: Final = 0.25
_SERVED_SECONDS: Final = Goal("at most", 10)
_ALL: Final = Goal("at least", 1)
_GOING_AWAY: Final = "1001"
_PARTS: Final = 10


@dataclass(frozen=True)
class Size:
    """How much is measured; each client misses ``missed`` windows before it comes back."""

    clients: int = 10_000
    missed: int = 20
    drain_seconds: float = 10


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Have them leave and come back, and then be sent elsewhere."""
    async with AsyncExitStack() as entered:
        enter = entered.enter_async_context
        system, edge = await enter(stage.installation(DRAIN_SECONDS=size.drain_seconds))
        feed = Feed(await enter(stage.producer()), system.feed)
        followers = await enter(companion("integration.bench.followers"))
        await followers.answer()
        stage.say(f"{PART}: {size.clients:,} clients leave and come back at once, while Kafka is frozen")
        await followers.ask(connect=size.clients, port=edge.port, buffer=0)
        figures = await _storm(stage, size, feed, followers, edge)
        stage.say(f"{PART}: an edge with {size.clients:,} clients is told to end")
        other = system.edge()
        await asyncio.to_thread(other.until_ready)
        return figures + await _drain(size, feed, followers, edge, other)


async def _storm(stage: Stage, size: Size, feed: Feed, followers: Companion, edge: Process) -> list[Figure]:
    await feed.window(1)
    await followers.ask(until=feed.posts)
    await followers.ask(leave=True)
    for posts in sizes_of(size.missed):
        await feed.window(posts)
    await asyncio.to_thread(
        edge.until, lambda: edge.metric("postcast_edge_log_posts") == feed.posts, "has read the feed"
    )
    process = serving(edge.port)
    async with _frozen(stage):
        begin, cpu = time.time(), cpu_seconds(process)
        back = await followers.ask(**{"return": edge.port})
        served = await followers.ask(until=feed.posts)
        cpu = cpu_seconds(process) - cpu
    name = f"{size.clients:,} clients come back, Kafka frozen"
    busy = (back["cpu"] + served["cpu"]) / (back["seconds"] + served["seconds"])
    return [
        Figure(PART, f"{name}: until all are welcomed", "s", [back["last"] - begin]),
        Figure(
            PART,
            f"{name}: until all have the {feed.posts - 1:,} posts that they missed",
            "s",
            [max(back["last"], served["last"]) - begin],
            _SERVED_SECONDS,
            note=f"clients {busy:.0%} busy",
        ),
        Figure(PART, f"{name}: the edge's CPU time", "s", [cpu]),
    ]


@asynccontextmanager
async def _frozen(stage: Stage) -> AsyncIterator[None]:
    await asyncio.to_thread(stage.services.kafka.pause)
    try:
        yield
    finally:
        await asyncio.to_thread(stage.services.kafka.resume)


async def _drain(size: Size, feed: Feed, followers: Companion, edge: Process, other: Process) -> list[Figure]:
    flowing = asyncio.create_task(_flow(feed))
    try:
        begin = time.time()
        ending = asyncio.create_task(asyncio.to_thread(_end, edge))
        closed = await followers.ask(closed=True)
        await followers.ask(**{"return": other.port})
        code, ended = await ending
    finally:
        flowing.cancel()
        await asyncio.wait([flowing])
    assert code == 0, f"the edge ended with {code}"
    # Everyone has every post, whichever edge it came from, or this fails.
    await followers.ask(until=feed.posts)
    closes = [at - begin for at in closed["closes"]]
    name = f"SIGTERM with {size.clients:,} clients, DRAIN_SECONDS={size.drain_seconds:g}"
    return [
        Figure(PART, f"{name}: closed with 1001", "of all", [closed["codes"].get(_GOING_AWAY, 0) / size.clients], _ALL),
        Figure(PART, f"{name}: first close", "s", [closes[0]]),
        Figure(PART, f"{name}: last close", "s", [closes[-1]], Goal("at most", size.drain_seconds)),
        Figure(PART, f"{name}: most closes in a tenth of the time", "of all", [_densest(closes, size.drain_seconds)]),
        Figure(PART, f"{name}: until the process has ended", "s", [ended - begin]),
    ]


def _end(edge: Process) -> tuple[int, float]:
    """Send SIGTERM and wait; return the exit code, and the wall clock at the end."""
    edge.ask_to_end()
    return edge.until_ended(ANSWER_SECONDS), time.time()


async def _flow(feed: Feed) -> None:
    """Let posts come all the while."""
    while True:
        await feed.window(1)
        await asyncio.sleep(_PACE_SECONDS)


def _densest(closes: Sequence[float], seconds: float) -> float:
    """Return the largest share of all closes that came within a tenth of the time that they may take."""
    return max(sum(at <= each < at + seconds / _PARTS for each in closes) for at in closes) / len(closes)
