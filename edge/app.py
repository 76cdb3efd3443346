"""The composition root: makes the edge's parts, runs them, and stops them in order."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import NamedTuple

import structlog
from aiohttp import web

from edge import __version__, garbage_collection
from edge.access.listener import Listener
from edge.access.returns import Returns
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
from edge.feed.foreign import foreign
from edge.feed.log import Log
from edge.feed.paging import Extent
from edge.feed.replaying import Limits, Replays
from edge.feed.selection import Selections
from edge.feed.topic import Feed
from edge.gates import gates
from edge.keeping import LAST_SECONDS, keeper_of
from edge.measured import LogOutput
from edge.page import live_page
from edge.ports import serving_port
from edge.server import Server, wall_clock
from edge.settings import Settings
from edge.signals import told_to_stop
from edge.signing_in import demands_of, signing_in_of
from edge.status import Facts, Status
from edge.telemetry import Metrics, TurnTimes
from runtime.waiting import first
from streams.contract import Millis

_logger = structlog.get_logger("edge.app")


class Serving(NamedTuple):
    """An edge that serves: where it listens, and what is done once a part of it has ended by itself."""

    listener: Listener
    fault: asyncio.Task[BaseException | None]


async def run(settings: Settings, feed: Feed, turns: TurnTimes, output: LogOutput) -> None:
    """Serve ``feed`` until SIGTERM or SIGINT; the arguments and errors are those of :func:`edge_serving`."""
    stopped = told_to_stop(asyncio.get_running_loop())
    async with edge_serving(settings, feed, turns, output) as edge:
        # What the edge has failed of is raised at its end.
        await first(stopped.wait(), asyncio.wait([edge.fault]))


@asynccontextmanager
async def edge_serving(
    settings: Settings,
    feed: Feed,
    turns: TurnTimes,
    output: LogOutput,
    *,
    others: Iterable[web.RouteDef] = (),
    clock: Callable[[], Millis] = wall_clock,
) -> AsyncIterator[Serving]:
    """Serve ``feed`` meanwhile; at the end tell all clients to go, and wait until they have gone.

    ``turns`` are those of the running loop, ``output`` is where the log goes, ``others`` are more routes of the
    clients' port, and ``clock`` is that of the feed's windows. Raises :class:`edge.ports.CannotListen`, and
    :class:`RuntimeError` when a part has ended by itself.
    """
    loop = asyncio.get_running_loop()
    log = Log(limit=settings.log_bytes, reach=settings.dedup_records, age=settings.dedup_ms)
    hub = Hub(log, write_bytes=settings.write_bytes, write_each=write_each, patience=_patience(settings), loop=loop)
    waiters = Waiters(log, loop, hub.filters, max_authors=settings.max_authors_total)
    replays = Replays(
        feed.replay,
        log,
        hub,
        reach=settings.dedup_records,
        age=settings.dedup_ms,
        limits=Limits(settings.max_replays, settings.max_replays_per_address, settings.replay_bytes),
    )
    source = Source(
        feed.topic,
        name=settings.feed_topic,
        log=log,
        hub=Audience(replays, waiters),
        history=settings.history_records,
        reach=settings.dedup_records,
        patience=settings.unready_seconds,
    )
    gate, admin_gate = gates(settings)
    keeper = keeper_of(settings, partial(foreign, log=log, feed=source))
    signing_in = signing_in_of(settings)
    around = Surroundings(
        hub,
        gate,
        Returns(settings.join_rate),
        selections=Selections(settings.max_authors_total),
        sign_in=signing_in.sign_in,
        demands=demands_of(settings),
        positions=keeper,
        key_fetches=signing_in.key_fetches,
    )
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
    metrics = Metrics(
        log,
        source,
        around,
        turns,
        replays=replays,
        admin=admin_gate,
        output=output,
        posts=posts,
        positions=keeper,
        clock=loop.time,
    )
    server = Server(
        reception,
        WebSocketRequests(reception, around, compression=settings.compression),
        log=log,
        hub=hub,
        page=live_page(settings.compose_url),
        status=Status(Facts(__version__, settings.window_ms, settings.compose_url)),
        transports=EventRequests(reception, around).routes(),
        posts=posts,
        unready=signing_in.unready,
        clock=clock,
    )
    admin = Admin(server.readiness, metrics.registry())

    garbage_collection.configure()
    async with AsyncExitStack() as stack:
        # What is entered first ends last: operators are answered to the end.
        if settings.admin_port:
            await stack.enter_async_context(serving_port("ADMIN", admin.application(), admin_gate, settings))
        application = server.application((*others, *(() if settings.admin_port else admin.routes())))
        listener = await stack.enter_async_context(serving_port("EDGE", application, gate, settings))
        # aiohttp ends only its own connections; the hub's were handed over.
        stack.push_async_callback(_cut_all, hub)
        parts = [*signing_in.parts(), *(() if keeper is None else (keeper.run(),))]
        fault = await stack.enter_async_context(_running(source.run(), replays.run(), *parts))
        yield Serving(listener, fault)
        _logger.info("edge.stopping", clients=len(hub))
        if settings.reuse_port:
            # Other edges listen there, too, and take in the clients that come now.
            listener.close()
        await server.drain(settings.drain_seconds)
        if keeper is not None:
            await keeper.drain(LAST_SECONDS)
        listener.close()
    _logger.info("edge.stopped", clients=len(hub))


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
