"""More than one core: two edges on one port against one, in deliveries a second of the clock.

The kernel deals the clients among the edges (``REUSE_PORT``). Each edge reads the whole feed and serves its share. The
clients must not take part of the same cores: what they get waits in the kernel, unread, and is read and counted between
the measurements; a few of them read, and so it is known when the next window may come. Kafka does take part. What all
edges together deliver for each second of CPU time is told, too: whether two of them waste anything.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import psutil

from integration.bench.crowd import Crowd, crowd
from integration.bench.feed import Feed, Show
from integration.bench.figures import Figure, ratio
from integration.bench.stage import Stage
from integration.bench.usage import cpu_seconds, listening
from integration.system import Process, System

PART: Final = "cores"
_EDGES: Final = (1, 2)


@dataclass(frozen=True)
class Size:
    """How much is measured: ``posts`` says of how many posts windows are, and how many come before all clients read."""

    clients: int = 5_000
    posts: Mapping[int, int] = field(default_factory=lambda: {1: 40, 50: 4})
    seconds: float = 4
    repetitions: int = 5


class _Turn(NamedTuple):
    deliveries: float
    """A second of the clock, by all edges together."""
    by_cpu: float
    """A second of CPU time."""
    busy: float
    """Which share of the time the busiest process of clients was computing."""


class _Case(NamedTuple):
    edges: int
    posts: int


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Let one edge and two take turns, with all clients connected to each."""
    turns: dict[_Case, list[_Turn]] = {_Case(edges, posts): [] for posts in size.posts for edges in _EDGES}
    shares: list[float] = []
    for number in range(1, size.repetitions + 1):
        for edges in _EDGES:
            stage.say(f"{PART}: {size.clients:,} clients, edges: {edges}, {number} of {size.repetitions}")
            async with (
                stage.installation(REUSE_PORT="true") as (system, edge),
                stage.producer() as producer,
            ):
                for _ in range(edges - 1):
                    await beside(system, edge)
                async with crowd(edge.port, size.clients, sparse=True) as clients:
                    processes = listening(edge.port)
                    assert len(processes) == edges, f"{len(processes)} edges listen instead of {edges}"
                    show = Show(Feed(producer, system.feed), clients)
                    for posts in size.posts:
                        turns[_Case(edges, posts)].append(await _turn(show, clients, processes, posts, size))
                    shares.append(max(_connections(each, edge.port) for each in processes) / size.clients)
    return _figures(size, turns, shares[1::2])


async def _turn(show: Show, clients: Crowd, processes: Sequence[psutil.Process], posts: int, size: Size) -> _Turn:
    """Send windows of so many posts, the next when those who read have the one before."""
    # Not counted: it may wait for a connection or fill a cache.
    await show.window(1)
    await show.all()
    clients.take_saturation()
    clock = asyncio.get_running_loop().time
    passed = used = busy = 0.0
    sent = 0
    while passed < size.seconds:
        begin, cpu = clock(), sum(map(cpu_seconds, processes))
        for _ in range(size.posts[posts]):
            await show.window(posts)
            sent += posts
        passed += clock() - begin
        used += sum(map(cpu_seconds, processes)) - cpu
        busy = max(busy, clients.take_saturation())
        await show.all()
        clients.take_saturation()
    deliveries = clients.clients * sent
    return _Turn(deliveries / passed, deliveries / used, busy)


def _connections(process: psutil.Process, port: int) -> int:
    return sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == port
        for connection in process.net_connections("tcp")
    )


def _figures(size: Size, turns: Mapping[_Case, Sequence[_Turn]], shares: Sequence[float]) -> list[Figure]:
    figures = []
    for posts in size.posts:
        what = f"{size.clients:,} clients, {posts} post{'s' if posts > 1 else ''} a window"
        one, two = ([turn.deliveries for turn in turns[_Case(edges, posts)]] for edges in _EDGES)
        for edges in _EDGES:
            name = f"{what}: {edges} edge{'s' if edges > 1 else ''}"
            case = turns[_Case(edges, posts)]
            note = f"clients {max(turn.busy for turn in case):.0%} busy"
            figures += [
                Figure(PART, f"{name}", "deliveries/s", [turn.deliveries for turn in case], note=note),
                Figure(PART, f"{name}, for their CPU time", "deliveries/CPU-s", [turn.by_cpu for turn in case]),
            ]
        note = f"{os.cpu_count()} cores, Kafka on them, too"
        figures.append(Figure(PART, f"{what}: 2 edges over 1", "ratio", ratio(two, one), note=note))
    return [*figures, Figure(PART, f"{size.clients:,} clients: on the edge that has more", "of all", shares)]


async def beside(system: System, edge: Process) -> Process:
    """Have one more edge on the port of another, which has clients from now on."""
    other = system.edge(EDGE_PORT=edge.port)
    # Not what /readyz says: nobody knows which of them answers.
    await asyncio.to_thread(other.until, lambda: bool(other.events("feed.followed")), "follows the feed")
    return other
