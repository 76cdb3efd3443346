"""Memory: what an idle connection costs the edge, what it consists of, and what it costs other servers.

Idle, but not new: each has been sent one post. Memory is what the process has resident, so what the kernel keeps for
a socket is not in it.
"""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import psutil

from integration import topics
from integration.bench import built, rivals
from integration.bench.companion import companion
from integration.bench.crowd import Crowd, crowd
from integration.bench.feed import Feed
from integration.bench.figures import Figure, Goal
from integration.bench.layers import LAYERS
from integration.bench.rivals import CENTRIFUGO, UWEBSOCKETS, Rival
from integration.bench.send_each import COMPRESS
from integration.bench.stage import Stage
from integration.bench.usage import resident_bytes, serving
from integration.system import Process

PART: Final = "idle"
KEPT: Final = "the edge's client: WebSocket, Reader, Session, Member, and its place in the census"
"""The layer that comes after all of :mod:`integration.bench.layers`."""
_KIB: Final = 1024
_GOAL: Final = Goal("at most", 4)
_FILES: Final = 12
"""So many files are told of: nearly all that there is."""
_WARMING: Final = 100
"""Connections that come and go before the counting: imports, caches and first arenas are no connection's cost."""


@dataclass(frozen=True)
class Size:
    """How much is measured.

    ``clients`` come from processes of ``a_process`` each; ``compressors`` and ``layered`` are how many there are where
    each has a compressor of its own, and in the table of what a connection consists of.
    """

    clients: int = 15_000
    a_process: int = 5_000
    compressors: int = 2_000
    layered: int = 4_000
    repetitions: int = 3
    without: Collection[str] = ()
    """Servers of other makers that are left out."""


class _Server(NamedTuple):
    port: int
    process: psutil.Process
    post: Callable[[], Awaitable[object]] | None = None
    """Has a post sent to everybody, if it can."""
    path: str = "/"
    is_greeting: bool = False


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Connect that many to servers that have just been started."""
    plan = (
        ("edge, compression agreed", size.clients, True, partial(_edge, stage), _GOAL),
        ("edge, no compression", size.clients, False, partial(_edge, stage), _GOAL),
        ("plain aiohttp, no compression", size.clients, False, partial(_plain, stage), None),
        ("plain aiohttp, a compressor each", size.compressors, True, partial(_plain, stage, COMPRESS), None),
        *(
            (f"{name}, no compression", size.clients, False, partial(_rival, stage, start_rival), None)
            for name, start_rival in ((CENTRIFUGO, rivals.centrifugo), (UWEBSOCKETS, rivals.uwebsockets))
            if name not in size.without
        ),
    )
    figures = []
    for server, clients, deflated, start, goal in plan:
        stage.say(f"{PART}: {clients:,} connections, {server}, {size.repetitions} times")
        try:
            kib = [await _kib(start, clients, size, deflated=deflated) for _ in range(size.repetitions)]
        except built.Missing as error:
            stage.say(f"{PART}: {server} is missing: {error}")
            continue
        at: dict[str, str | int] = {"server": server, "clients": clients}
        name = f"resident, {clients:,} connections: {server}"
        figures.append(Figure(PART, name, "KiB each", kib, goal, at=at))
    return [*figures, *await _layers(stage, size), *await _files(stage, size)]


async def _layers(stage: Stage, size: Size) -> list[Figure]:
    stage.say(f"{PART}: {size.layered:,} connections, layer by layer")
    figures = []
    for number, layer in enumerate((*LAYERS, KEPT), 1):
        start = partial(_edge, stage) if layer == KEPT else partial(_layer, layer)
        kib = await _kib(start, size.layered, size, deflated=layer == KEPT)
        at: dict[str, str | int] = {"layer": number, "what": layer}
        figures.append(Figure(PART, f"up to layer {number}: {layer}", "KiB each", [kib], at=at))
    return figures


async def _files(stage: Stage, size: Size) -> list[Figure]:
    """Trace which files' lines allocated what a connection holds, on an edge of its own."""
    stage.say(f"{PART}: {size.layered:,} connections, file by file")
    async with stage.installation() as (system, _):
        edge = system.edge("integration.bench.traced")
        await asyncio.to_thread(edge.until_ready)
        async with crowd(edge.port, min(_WARMING, size.layered), deflated=True):
            pass
        await asyncio.to_thread(
            edge.until,
            lambda: edge.connections() == 0,
            "has forgotten who left",
        )
        before = await _traced(edge)
        async with crowd(edge.port, size.layered, a_process=size.a_process, deflated=True):
            after = await _traced(edge)
    kib = {file: (after[file] - before.get(file, 0)) / size.layered / _KIB for file in after}
    most = sorted(kib, key=lambda file: kib[file], reverse=True)[:_FILES]
    return [Figure(PART, f"allocated in {file}", "KiB each", [kib[file]], at={"file": file}) for file in most]


async def _traced(edge: Process) -> dict[str, int]:
    told = len(edge.events("memory.traced"))
    serving(edge.port).send_signal(signal.SIGUSR1)
    await asyncio.to_thread(edge.until, lambda: len(edge.events("memory.traced")) > told, "tells what it has allocated")
    sizes: dict[str, int] = edge.events("memory.traced")[-1]["bytes"]
    return sizes


async def _kib(
    start: Callable[[], AbstractAsyncContextManager[_Server]], clients: int, size: Size, *, deflated: bool
) -> float:
    async with start() as server:
        connecting = partial(
            crowd,
            server.port,
            deflated=deflated,
            path=server.path,
            greeted=server.is_greeting,
            a_process=size.a_process,
        )
        async with connecting(min(_WARMING, clients)) as warming:
            await _send(server, warming)
        before = resident_bytes(server.process)
        async with connecting(clients) as connected:
            await _send(server, connected)
            return (resident_bytes(server.process) - before) / clients / _KIB


async def _send(server: _Server, clients: Crowd) -> None:
    if server.post is not None:
        await server.post()
        await clients.begun()


@asynccontextmanager
async def _edge(stage: Stage) -> AsyncIterator[_Server]:
    async with stage.installation() as (system, edge), stage.producer() as producer:
        feed = Feed(producer, system.feed)
        yield _Server(edge.port, serving(edge.port), lambda: feed.window(1))


@asynccontextmanager
async def _plain(stage: Stage, *options: str) -> AsyncIterator[_Server]:
    async with AsyncExitStack() as entered:
        enter = entered.enter_async_context
        topic = f"bench-{secrets.token_hex(4)}.send-each"
        await topics.create(stage.kafka_url, {topic: 1})
        environment = {"KAFKA_URL": stage.kafka_url}
        server = await enter(companion("integration.bench.send_each", topic, *options, environment=environment))
        port = (await server.answer())["port"]
        feed = Feed(await enter(stage.producer()), topic)
        yield _Server(port, psutil.Process(server.pid), lambda: feed.window(1))


@asynccontextmanager
async def _rival(stage: Stage, start: Callable[[Stage], AbstractAsyncContextManager[Rival]]) -> AsyncIterator[_Server]:
    async with start(stage) as server:
        yield _Server(server.port, server.process, lambda: server.publish(1), server.path, server.is_greeting)


@asynccontextmanager
async def _layer(layer: str) -> AsyncIterator[_Server]:
    async with companion("integration.bench.layers", layer) as server:
        yield _Server((await server.answer())["port"], psutil.Process(server.pid))
