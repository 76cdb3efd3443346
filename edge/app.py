"""Puts the edge together: the one place that knows all its parts."""

import asyncio
import resource
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from edge import __version__, collector
from edge.access.entrance import Gate, Rules
from edge.access.http import handlers
from edge.access.limits import SPARE, Census
from edge.access.listener import Listener
from edge.clients.writing import write_each
from edge.fanout.hub import Hub
from edge.fanout.link import Patience
from edge.feed.follow import Source
from edge.feed.kafka import kafka_topic
from edge.feed.log import Log
from edge.page import live_page
from edge.server import Server
from edge.settings import Settings
from edge.status import Facts, Status
from edge.telemetry import Dropping, Metrics, Turns
from edge.wire.allowance import Traffic

_logger = structlog.get_logger("edge.app")

# Files that are no client's: the interpreter's own, and a connection or two to each of Kafka's brokers.
_OWN_FILES: Final = 128
_SWEEP_SECONDS: Final = 1.0
_SWEPT: Final = 0.05


class CannotListen(OSError):
    """The address is taken, or not ours to listen on."""


async def run(settings: Settings, turns: Turns, output: Dropping) -> None:
    """Serve until SIGTERM or SIGINT; raises :class:`CannotListen`.

    ``turns`` are those of the running loop, ``output`` is where the log goes.
    """
    loop = asyncio.get_running_loop()
    stopped = _told_to_stop(loop)
    log = Log(limit=settings.log_bytes, reach=settings.dedup_records)
    hub = Hub(log, write_bytes=settings.write_bytes, write_each=write_each, clock=loop.time, soon=loop.call_soon)
    source = Source(
        partial(kafka_topic, settings.kafka_client("postcast-edge"), settings.feed_topic),
        name=settings.feed_topic,
        log=log,
        hub=hub,
        history=settings.history_records,
        reach=settings.dedup_records,
        patience=settings.unready_seconds,
    )
    census = Census(
        total=max(1, min(settings.max_connections, _file_limit() - _OWN_FILES - SPARE)),
        per_address=settings.max_connections_per_address,
    )
    gate = Gate(_rules(settings), census)
    metrics = Metrics(log, hub, source, gate, turns, output=output)
    server = Server(
        log=log,
        hub=hub,
        feed=source,
        page=live_page(settings.compose_url),
        status=Status(Facts(__version__, settings.window_ms, settings.compose_url)),
        registry=metrics.registry(),
        join_seconds=settings.join_seconds,
        compression=settings.compression,
        gate=gate,
    )
    patience = Patience(settings.ping_seconds, settings.dead_seconds, settings.stalled_seconds)

    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    collector.spare()
    try:
        listener = await _listen(gate, runner, settings)
        async with _running(source.run(), _sweep(hub, patience)) as fault:
            stopping = asyncio.create_task(stopped.wait())
            await asyncio.wait([stopping, fault], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            _logger.info("edge.stopping", clients=len(hub))
            if settings.reuse_port:
                # Others listen there, too: who comes now is theirs.
                listener.close()
            await server.drain(settings.drain_seconds)
            listener.close()
    finally:
        # aiohttp has let go of these, and ends only what is its own.
        hub.cut()
        await runner.cleanup()
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


async def _listen(gate: Gate, runner: web.AppRunner, settings: Settings) -> Listener:
    assert runner.server is not None  # noqa: S101 - it was set up
    handler = handlers(runner.server, gate.answers, keepalive_seconds=settings.keepalive_seconds)
    listener = Listener(gate, handler, unsent_bytes=settings.write_bytes)
    try:
        await listener.open(settings.edge_host, settings.edge_port, reuse_port=settings.reuse_port)
    except OSError as error:
        where = f"EDGE_HOST {settings.edge_host}, EDGE_PORT {settings.edge_port}"
        raise CannotListen(f"The edge cannot listen on {where}: {error.strerror}.") from error
    for host, port in listener.addresses:
        _logger.info("edge.listening", host=host, port=port)
    return listener


def _rules(settings: Settings) -> Rules:
    return Rules(
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


async def _sweep(hub: Hub, patience: Patience) -> None:
    """One timer for all clients, and a few of them at a time: thousands may be due for a ping at once."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS * _SWEPT)
        hub.sweep(patience, _SWEPT)


def _file_limit() -> int:
    """Each client is an open file, and the usual soft limit is 1,024: take what the hard limit allows, and say it."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard
