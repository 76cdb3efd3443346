"""The composition root: makes the edge's parts, runs them, and stops them in order."""

import asyncio
import math
import resource
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final, Literal

import structlog
from aiohttp import web

from edge import __version__, garbage_collection
from edge.access.entrance import Gate, Rules
from edge.access.limits import SPARE, Census
from edge.access.listener import Listener
from edge.access.origins import NOBODY, Origins
from edge.access.returns import Returns
from edge.access.serving import serving
from edge.admin import Admin
from edge.clients.event_requests import EventRequests
from edge.clients.link import Surroundings
from edge.clients.post_waiters import Waiters
from edge.clients.posts import posts_of
from edge.clients.reception import Reception
from edge.clients.websocket_requests import WebSocketRequests
from edge.clients.writing import write_each
from edge.fanout.deadlines import Patience
from edge.fanout.hub import Hub
from edge.feed.audience import Audience
from edge.feed.follow import Source
from edge.feed.kafka import kafka_replay, kafka_topic
from edge.feed.log import Log
from edge.feed.paging import Extent
from edge.feed.replaying import Limits, Replays
from edge.feed.selection import Selections
from edge.page import live_page
from edge.server import Server
from edge.settings import Settings
from edge.status import Facts, Status
from edge.telemetry import LogOutput, Metrics, TurnTimes
from edge.wire.allowance import Traffic

_logger = structlog.get_logger("edge.app")

# Files that are no client's: the interpreter's own, and a connection or two to each of Kafka's brokers.
_OWN_FILES: Final = 128
# Probes and scrapers need a few connections each. One address cannot take all of them, whatever runs there.
_ADMIN_CONNECTIONS: Final = 64
_ADMIN_CONNECTIONS_PER_ADDRESS: Final = 16


class CannotListen(OSError):
    """The address is taken, or not ours to listen on."""


async def run(settings: Settings, turns: TurnTimes, output: LogOutput) -> None:
    """Serve until SIGTERM or SIGINT; raises :class:`CannotListen`.

    ``turns`` are those of the running loop, ``output`` is where the log goes.
    """
    loop = asyncio.get_running_loop()
    stopped = _told_to_stop(loop)
    log = Log(limit=settings.log_bytes, reach=settings.dedup_records, age=settings.dedup_ms)
    hub = Hub(log, write_bytes=settings.write_bytes, write_each=write_each, patience=_patience(settings), loop=loop)
    waiters = Waiters(log, loop)
    kafka = settings.kafka_client("postcast-edge")
    replays = Replays(
        partial(kafka_replay, kafka, settings.feed_topic),
        log,
        hub,
        reach=settings.dedup_records,
        age=settings.dedup_ms,
        limits=Limits(settings.max_replays, settings.max_replays_per_address, settings.replay_bytes),
    )
    source = Source(
        partial(kafka_topic, kafka, settings.feed_topic),
        name=settings.feed_topic,
        log=log,
        hub=Audience(replays, waiters),
        history=settings.history_records,
        reach=settings.dedup_records,
        patience=settings.unready_seconds,
    )
    gate, admin_gate = _gates(settings)
    around = Surroundings(hub, gate, Returns(settings.join_rate), selections=Selections(settings.max_authors_total))
    reception = Reception(
        log=log,
        feed=source,
        old=replays,
        join_seconds=settings.join_seconds,
        heartbeat=settings.heartbeat_seconds,
        around=around,
    )
    posts = posts_of(
        reception,
        log=log,
        old=replays,
        waiters=waiters,
        extent=Extent(settings.page_bytes, settings.page_records),
        room=settings.pages_bytes,
        join_seconds=settings.join_seconds,
        poll_seconds=settings.long_poll_seconds,
        stalled_seconds=settings.stalled_seconds,
        refusals=around.refusals,
    )
    metrics = Metrics(log, source, around, turns, replays=replays, admin=admin_gate, output=output, posts=posts)
    server = Server(
        reception,
        WebSocketRequests(reception, around, compression=settings.compression),
        log=log,
        hub=hub,
        page=live_page(settings.compose_url),
        status=Status(Facts(__version__, settings.window_ms, settings.compose_url)),
        transports=EventRequests(reception, around).routes(),
        posts=posts,
    )
    admin = Admin(server.readiness, metrics.registry())

    garbage_collection.configure()
    async with AsyncExitStack() as stack:
        # What is entered first ends last: operators are answered to the end.
        if settings.admin_port:
            await stack.enter_async_context(_serving("ADMIN", admin.application(), admin_gate, settings))
        application = server.application(() if settings.admin_port else admin.routes())
        listener = await stack.enter_async_context(_serving("EDGE", application, gate, settings))
        # aiohttp ends only its own connections; the hub's were handed over.
        stack.push_async_callback(_cut_all, hub)
        fault = await stack.enter_async_context(_running(source.run(), replays.run()))
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait([stopping, fault], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        _logger.info("edge.stopping", clients=len(hub))
        if settings.reuse_port:
            # Other edges listen there, too, and take in the clients that come now.
            listener.close()
        await server.drain(settings.drain_seconds)
        listener.close()
    _logger.info("edge.stopped", clients=len(hub))


def _told_to_stop(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """Return what is set by the first SIGTERM or SIGINT; a second one ends the process at once."""
    stopped = asyncio.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop() -> None:
        stopped.set()
        for each in numbers:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)

    for each in numbers:
        loop.add_signal_handler(each, stop)
    return stopped


@asynccontextmanager
async def _running(*parts: Coroutine[None, None, None]) -> AsyncIterator[asyncio.Task[BaseException | None]]:
    """Run parts that never end by themselves, however they might; yield what is done once one has.

    An edge without its source would be a server of silence: that is a fault, raised at the end.
    """
    tasks = [asyncio.create_task(part) for part in parts]
    fault = asyncio.create_task(_first(tasks))
    try:
        yield fault
        if fault.done():
            raise RuntimeError("a part of the edge ended by itself") from fault.result()
    finally:
        for task in (fault, *tasks):
            task.cancel()
        await asyncio.wait([fault, *tasks])


async def _first(tasks: Sequence[asyncio.Task[None]]) -> BaseException | None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    task = done.pop()
    return None if task.cancelled() else task.exception()


@asynccontextmanager
async def _serving(
    name: Literal["EDGE", "ADMIN"], application: web.Application, gate: Gate, settings: Settings
) -> AsyncIterator[Listener]:
    """Serve on the address that the settings of this name say; raise :class:`CannotListen`, which names them."""
    host, port = settings.edge_host, settings.edge_port
    if name == "ADMIN":
        host, port = settings.admin_host or host, settings.admin_port
    async with AsyncExitStack() as stack:
        opening = serving(
            application,
            gate,
            host=host,
            port=port,
            # Which of several edges answers is the same to clients, and not to operators.
            reuse_port=settings.reuse_port and name == "EDGE",
            keepalive_seconds=settings.keepalive_seconds,
            unsent_bytes=settings.write_bytes,
        )
        try:
            listener = await stack.enter_async_context(opening)
        except OSError as error:
            where = f"{name}_HOST {host}, {name}_PORT {port}"
            raise CannotListen(f"The edge cannot listen on {where}: {error.strerror}.") from error
        for address in listener.addresses:
            _logger.info("edge.listening" if name == "EDGE" else "admin.listening", host=address[0], port=address[1])
        yield listener


def _gates(settings: Settings) -> tuple[Gate, Gate]:
    """Make the gates of the clients' and of the operators' port: they count apart, so that neither fills the other."""
    rules = Rules(
        handshake_seconds=settings.handshake_seconds,
        head_bytes=settings.max_head_bytes,
        traffic=Traffic(
            messages=settings.messages_per_second,
            bytes=settings.bytes_per_second,
            pings=settings.pings_per_second,
            message_bytes=settings.max_message_bytes,
            fragments=settings.max_fragments,
        ),
        trusted=settings.trusted_proxies,
        header=settings.proxy_header,
    )
    files = _file_limit() - _OWN_FILES - SPARE
    if settings.admin_port:
        files -= _ADMIN_CONNECTIONS + SPARE
    clients = Census(
        total=max(1, min(settings.max_connections, files)), per_address=settings.max_connections_per_address
    )
    operators = Census(total=_ADMIN_CONNECTIONS, per_address=_ADMIN_CONNECTIONS_PER_ADDRESS)
    # No proxy stands before the operators' port: each peer counts by its own address.
    return (
        Gate(rules, clients, Origins(settings.allowed_origins)),
        Gate(replace(rules, trusted=()), operators, NOBODY),
    )


async def _cut_all(hub: Hub) -> None:
    while len(hub):
        hub.cut_some()
        await asyncio.sleep(0)


def _patience(settings: Settings) -> Patience:
    return Patience(
        ping=settings.ping_seconds,
        dead=settings.dead_seconds,
        stalled=settings.stalled_seconds,
        heartbeat=settings.heartbeat_seconds,
        age=settings.max_age_seconds or math.inf,
    )


def _file_limit() -> int:
    """Each client is an open file, and the usual soft limit is 1,024: take what the hard limit allows, and say it."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard
