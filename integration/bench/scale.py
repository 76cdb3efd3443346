"""Scale: as many clients as fit on one machine, on several edges: memory, CPU time, and the time to the last byte.

Each edge has a port of its own, and clients from a process of their own: a process may open 20,000 files on many
machines, and to one port 28,000 connections can be open from one address. All share the machine's cores, the clients
and Kafka too, so the times are no better than they would be with a machine for each edge.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import psutil

from integration.bench.crowd import Crowd, crowd
from integration.bench.feed import Feed, Show
from integration.bench.figures import Figure
from integration.bench.stage import Stage
from integration.bench.usage import cpu_seconds, kernel_bytes, resident_bytes, serving

PART: Final = "scale"
_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_SETTLE_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Size:
    """How much is measured: ``posts`` says of how many posts windows are, and how many there are of each."""

    clients: int = 100_000
    edges: int = 6
    posts: Mapping[int, int] = field(default_factory=lambda: {1: 10, 50: 10})


@dataclass(frozen=True)
class _Memory:
    """Bytes of all edges, of the kernel, and of the processes with the clients."""

    edges: int
    kernel: int
    clients: int


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Connect them all, and send windows to them."""
    name = f"{size.clients:,} clients on {size.edges} edges"
    stage.say(f"{PART}: {name} connect")
    async with AsyncExitStack() as entered:
        enter = entered.enter_async_context
        system, first = await enter(stage.installation())
        others = [system.edge() for _ in range(size.edges - 1)]
        for other in others:
            await asyncio.to_thread(other.until_ready)
        ports = [first.port, *(other.port for other in others)]
        edges = [serving(port) for port in ports]
        show = Feed(await enter(stage.producer()), system.feed)
        before, begin, cpu = _memory(edges, []), monotonic(), _cpu(edges)
        a_process = math.ceil(size.clients / size.edges)
        clients = await enter(crowd(ports, size.clients, a_process=a_process))
        connecting, cpu = monotonic() - begin, _cpu(edges) - cpu
        windows = await _windows(stage, Show(show, clients), clients, edges, size)
        await asyncio.sleep(_SETTLE_SECONDS)
        after = _memory(edges, clients.pids)
        log = sum([await asyncio.to_thread(each.metric, "postcast_edge_log_bytes") for each in (first, *others)])
    return [
        Figure(PART, f"{name}: until all are connected", "s", [connecting]),
        Figure(PART, f"{name}: the edges' CPU time for that", "s", [cpu]),
        *_memories(name, size, before, after, log),
        *windows,
    ]


def _cpu(edges: Sequence[psutil.Process]) -> float:
    return sum(map(cpu_seconds, edges))


def _memory(edges: Sequence[psutil.Process], clients: Sequence[int]) -> _Memory:
    return _Memory(
        sum(map(resident_bytes, edges)), kernel_bytes(), sum(resident_bytes(psutil.Process(pid)) for pid in clients)
    )


def _memories(name: str, size: Size, before: _Memory, after: _Memory, log: float) -> list[Figure]:
    edges, kernel = after.edges - before.edges - log, after.kernel - before.kernel
    return [
        Figure(PART, f"{name}: resident, an edge without clients", "MiB", [before.edges / size.edges / _MIB]),
        Figure(PART, f"{name}: resident, all edges", "MiB", [after.edges / _MIB], note=f"log: {log / _MIB:.0f} MiB"),
        Figure(PART, f"{name}: resident, for each connection", "KiB each", [edges / size.clients / _KIB]),
        Figure(PART, f"{name}: in the kernel, both ends", "MiB", [kernel / _MIB]),
        Figure(PART, f"{name}: in the kernel, for each end of a connection", "KiB each",
               [kernel / size.clients / 2 / _KIB]),
        Figure(PART, f"{name}: resident, the clients' processes", "MiB", [after.clients / _MIB]),
        Figure(PART, f"{name}: memory in all", "MiB", [(after.edges + kernel + after.clients) / _MIB]),
    ]  # fmt: skip


async def _windows(
    stage: Stage, show: Show, clients: Crowd, edges: Sequence[psutil.Process], size: Size
) -> list[Figure]:
    figures = []
    # Not counted: it may wait for a connection or fill a cache.
    await show.window(1)
    for posts, count in size.posts.items():
        what = f"{size.clients:,} clients on {size.edges} edges, {posts} post{'s' if posts > 1 else ''} a window"
        stage.say(f"{PART}: {what}, {count} windows")
        clients.take_saturation()
        delays, cpu = [], []
        for _ in range(count):
            begin = _cpu(edges)
            delays.append(await show.window(posts))
            cpu.append(_cpu(edges) - begin)
        note = f"clients {clients.take_saturation():.0%} busy"
        figures += [
            Figure(PART, f"{what}: from the record to the last client's last byte", "s", delays, note=note),
            Figure(PART, f"{what}: the edges' CPU time", "s", cpu),
        ]
    return figures
