"""More than one core: two edges on one port against one, in deliveries a second of the clock.

The kernel deals the clients among the edges (``REUSE_PORT``). Each edge reads the whole feed and serves its share.
The clients take their part of the same cores: where there are two, two edges cannot be twice one. So what all edges
together deliver for each second of CPU time is told, too: whether two of them waste anything.
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
    """How much is measured, with clients from so many processes.

    ``posts`` says of how many posts windows are, and how many of these are sent at once, for so many seconds. Windows
    of one post come one at a time: an edge that is busy would join them, and then they are none of one post.
    """

    clients: int = 2_000
    processes: int = 2
    posts: Mapping[int, int] = field(default_factory=lambda: {1: 1, 50: 20})
    seconds: float = 4
    repetitions: int = 3


class _Turn(NamedTuple):
    deliveries: float
    """A second of the clock, by all edges together."""
    by_cpu: float
    """A second of CPU time."""
    busy: float
    """Which share of the time the busiest process of clients was computing."""


class _Load(NamedTuple):
    posts: int
    windows: int
    seconds: float


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
                async with crowd(edge.port, size.clients, a_process=-(-size.clients // size.processes)) as clients:
                    processes = listening(edge.port)
                    assert len(processes) == edges, f"{len(processes)} edges listen instead of {edges}"
                    show = Show(Feed(producer, system.feed), clients)
                    for posts, windows in size.posts.items():
                        turn = await _turn(show, clients, processes, _Load(posts, windows, size.seconds))
                        turns[_Case(edges, posts)].append(turn)
                    shares.append(max(_connections(each, edge.port) for each in processes) / size.clients)
    return _figures(size, turns, shares[1::2])


async def _turn(show: Show, clients: Crowd, processes: Sequence[psutil.Process], load: _Load) -> _Turn:
    """Send windows, the next when every client has those before."""
    # Not counted: it may wait for a connection or fill a cache.
    await show.window(1)
    clients.take_saturation()
    clock = asyncio.get_running_loop().time
    begin, cpu, posts = clock(), sum(map(cpu_seconds, processes)), 0
    while (passed := clock() - begin) < load.seconds:
        await show.train(load.windows, load.posts)
        posts += load.windows * load.posts
    used = sum(map(cpu_seconds, processes)) - cpu
    deliveries = clients.clients * posts
    return _Turn(deliveries / passed, deliveries / used, clients.take_saturation())


def _connections(process: psutil.Process, port: int) -> int:
    return sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == port
        for connection in process.net_connections("tcp")
    )


def _figures(size: Size, turns: Mapping[_Case, Sequence[_Turn]], shares: Sequence[float]) -> list[Figure]:
    figures = []
    for posts, windows in size.posts.items():
        each = f"{posts} post{'s' if posts > 1 else ''} a window"
        what = f"{size.clients:,} clients, {each}, {windows} at a time"
        one, two = ([turn.deliveries for turn in turns[_Case(edges, posts)]] for edges in _EDGES)
        for edges in _EDGES:
            name = f"{what}: {edges} edge{'s' if edges > 1 else ''}"
            case = turns[_Case(edges, posts)]
            note = f"each process of clients {max(turn.busy for turn in case):.0%} busy"
            figures += [
                Figure(PART, f"{name}", "deliveries/s", [turn.deliveries for turn in case], note=note),
                Figure(PART, f"{name}, for their CPU time", "deliveries/CPU-s", [turn.by_cpu for turn in case]),
            ]
        note = f"{os.cpu_count()} cores, clients and Kafka on them, too"
        figures.append(Figure(PART, f"{what}: 2 edges over 1", "ratio", ratio(two, one), note=note))
    return [*figures, Figure(PART, f"{size.clients:,} clients: on the edge that has more", "of all", shares)]


async def beside(system: System, edge: Process) -> Process:
    """Have one more edge on the port of another, which has clients from now on."""
    other = system.edge(EDGE_PORT=edge.port)
    # Not what /readyz says: nobody knows which of them answers.
    await asyncio.to_thread(other.until, lambda: bool(other.events("feed.followed")), "follows the feed")
    return other
