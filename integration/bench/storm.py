"""The storm: all clients come back at once with their cursors. The drain: an edge that ends sends all of them away.

While they come back Kafka is frozen: what the log holds is served without it. What the drained clients miss while
they move is on the feed, and they must have it from the other edge. They check every byte that they get.

Where the edge's CPU time goes is told by coming to servers that each do one thing more than the one before, and to the
edge with nothing missed: what one takes more than the one before is the share of that thing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

import psutil

from integration.bench.companion import ANSWER_SECONDS, Companion, companion
from integration.bench.feed import Feed, sizes_of
from integration.bench.figures import Figure, Goal
from integration.bench.layers import STEPS
from integration.bench.stage import Stage
from integration.bench.usage import cpu_seconds, serving
from integration.system import Process

PART: Final = "storm"
_PACE_SECONDS: Final = 0.25
_SERVED_SECONDS: Final = Goal("at most", 4.5)
_ALL: Final = Goal("at least", 1)
_GOING_AWAY: Final = "1001"
_PARTS: Final = 10
_SHARES: Final = (
    "accepting, reading and writing",
    "aiohttp's request and its answer",
    "the takeover",
    "joining",
    "catching up",
)
"""The shares of a return, in the order in which they come."""


@dataclass(frozen=True)
class Size:
    """How much is measured; each client misses ``missed`` windows before it comes back, ``returns`` times."""

    clients: int = 10_000
    missed: int = 20
    returns: int = 3
    drain_seconds: float = 10


class _Return(NamedTuple):
    """One return of all clients: seconds until all are welcomed and until all are served, and the edge's CPU time."""

    welcomed: float
    served: float
    cpu: float
    busy: float
    """Which share of the time the clients were computing."""


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
        await feed.window(1)
        await followers.ask(until=feed.posts)
        figures = await _storm(stage, size, feed, followers, edge)
        stage.say(f"{PART}: an edge with {size.clients:,} clients is told to end")
        other = system.edge()
        await asyncio.to_thread(other.until_ready)
        return figures + await _drain(size, feed, followers, edge, other)


async def _storm(stage: Stage, size: Size, feed: Feed, followers: Companion, edge: Process) -> list[Figure]:
    windows = sizes_of(size.missed)
    # In turns, so that what disturbs the machine for a while disturbs all of them.
    steps: list[list[float]] = [[] for _ in STEPS]
    near, far = [], []
    for _ in range(size.returns):
        for step, cpu in zip(STEPS, steps, strict=True):
            cpu.append(await _knock(followers, step))
        near.append(await _return(stage, feed, followers, edge, ()))
        far.append(await _return(stage, feed, followers, edge, windows))
    name = f"{size.clients:,} clients come back, Kafka frozen"
    missed = f"{name}: until all have the {sum(windows):,} posts that they missed"
    busy = max(each.busy for each in far)
    totals = [0.0, *map(median, steps), *(median(each.cpu for each in returns) for returns in (near, far))]
    return [
        Figure(PART, f"{name}: until all are welcomed", "s", [each.welcomed for each in far]),
        Figure(
            PART, missed, "s", [each.served for each in far], _SERVED_SECONDS, f"clients {busy:.0%} busy",
            at={"clients": size.clients},
        ),
        Figure(PART, f"{name}: the edge's CPU time", "s", [each.cpu for each in far]),
        *(
            Figure(PART, f"{name}: of its CPU time, {share}", "s", [after - before])
            for share, (before, after) in zip(_SHARES, pairwise(totals), strict=True)
        ),
    ]  # fmt: skip


async def _knock(followers: Companion, step: str) -> float:
    """Have all come to a server that does no more than that step; return its CPU time."""
    await followers.ask(leave=True)
    async with companion("integration.bench.layers", step) as server:
        port = (await server.answer())["port"]
        process = psutil.Process(server.pid)
        begin = cpu_seconds(process)
        await followers.ask(knock=port)
        return cpu_seconds(process) - begin


async def _return(stage: Stage, feed: Feed, followers: Companion, edge: Process, windows: Sequence[int]) -> _Return:
    """Have all leave, miss these windows, and come back."""
    await followers.ask(leave=True)
    for posts in windows:
        await feed.window(posts)
    await asyncio.to_thread(
        edge.until, lambda: edge.metric("postcast_edge_log_posts") == feed.posts, "has read the feed"
    )
    await asyncio.to_thread(edge.until, lambda: edge.connections() == 0, "has forgotten them")
    process = serving(edge.port)
    async with _frozen(stage):
        begin, cpu = time.time(), cpu_seconds(process)
        back = await followers.ask(**{"return": edge.port})
        served = await followers.ask(until=feed.posts)
        cpu = cpu_seconds(process) - cpu
    busy = (back["cpu"] + served["cpu"]) / (back["seconds"] + served["seconds"])
    last = max(back["last"], served["last"]) if windows else back["last"]
    return _Return(back["last"] - begin, last - begin, cpu, busy)


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
