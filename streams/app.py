"""Puts the worker together: ``faust -A streams.app worker -l info``.

Importing this module reads the environment, since that is what ``faust -A`` does; nothing is
connected before the worker starts.
"""

import os
import threading
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, ClassVar, Final

import faust
import mode.loop
from aiohttp import web
from faust.app import BootStrategy
from faust.types import StreamT
from faust.types.web import Web
from faust.web.drivers.aiohttp import Web as AiohttpWeb
from mode import Service
from mode.types import ServiceT
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from runtime.logs import configure_structlog, logging_config
from runtime.settings import unread_variables
from streams.agent import Flow
from streams.bridge import Bridge
from streams.completion import Completion
from streams.contract import Millis
from streams.credentials import credentials
from streams.group import Group
from streams.lookup import Lookup
from streams.publisher import Publisher
from streams.settings import Settings, load
from streams.telemetry import Health, Metrics, log
from streams.topics import WrongTopic
from streams.watchdog import Watchdog

# Before Faust makes a loop: 1.26 times the events a second (Faust's own setting for it crashes).
mode.loop.use("uvloop")


# What an orderly end takes: the batch in work has 3 s, and Kafka is told that we leave.
_LAST_WORDS_SECONDS: Final = 8.0
# What a stop may take: what is in flight has 5 s, the batch in work 3 s, and each of Kafka's clients a few until it
# gives up. A cluster gives us a minute.
_STOP_SECONDS: Final = 15.0


class Outlet(Service):
    """The publisher and the database's pool, for as long as anything uses them."""

    def __init__(self, publisher: Publisher, lookup: Lookup) -> None:
        super().__init__()
        self._publisher = publisher
        self._lookup = lookup

    async def on_start(self) -> None:
        """Wait for Kafka and make its topics; nothing else of the worker can begin before."""
        for sentence in unread_variables(Settings):
            log.warning("settings.unread", why=sentence)
        try:
            # A stop must not wait for a Kafka that never comes.
            await self.wait(self._publisher.start())
        except WrongTopic as error:
            raise SystemExit(f"{error}.") from None

    async def on_stop(self) -> None:
        """Write what is buffered."""
        await self._publisher.stop()
        await self._lookup.close()


class HealthWeb(AiohttpWeb):
    """Faust's web server, without what it would tell everybody about the worker's inside."""

    default_blueprints: ClassVar[Any] = ()
    production_blueprints: ClassVar[Any] = ()
    debug_blueprints: ClassVar[Any] = ()
    optional_blueprints: ClassVar[Any] = ()

    async def start_server(self) -> None:
        """Listen; a port that is taken ends the worker with one sentence."""
        try:
            await super().start_server()
        except OSError as error:
            port = self.app.conf.web_port
            raise SystemExit(f"WORKER_PORT {port} cannot be listened on: {error.strerror}; set another.") from None


class Boot(BootStrategy):
    """Health is served first; the outlet stands between it and all that needs Kafka.

    Services are stopped in the opposite order: the bridge first, then the windows, while the consumer
    can still commit what they release and the outlet can still write.
    """

    def server(self) -> Iterable[ServiceT]:
        """Return what a worker consists of, in the order of its start."""
        app = self.app
        assert isinstance(app, Worker)  # noqa: S101 - only Worker names this strategy
        return chain(
            self.sensors(),
            self.web_server(),
            [app.outlet],
            self.kafka_producer(),
            self.kafka_consumer(),
            self.agents(),
            self.kafka_conductor(),
            self.tables(),
            [app.flow, app.bridge, app.watchdog],
        )


class Worker(faust.App):
    """The Faust app, and the services of ours that live and end with it."""

    BootStrategy = Boot
    outlet: Outlet
    flow: Flow
    bridge: Bridge
    watchdog: Watchdog

    def _new_web(self) -> Web:
        return HealthWeb(self)

    def _crash(self, reason: BaseException) -> None:
        """End soon, whatever hangs: a consumer's thread that is stuck would keep a crashed worker for ever."""
        super()._crash(reason)
        _end_within(_LAST_WORDS_SECONDS)

    async def on_stop(self) -> None:
        """Stop in any case: while Kafka is away, its consumer's thread may die of being stopped and keep us waiting."""
        _end_within(_STOP_SECONDS)
        await super().on_stop()

    def _create_directories(self) -> None:
        """Make none: without tables nothing is kept on disk, and the file system may be read-only."""


def _end_within(seconds: float) -> None:
    """End the process at that time, if it has not ended by then; what is not committed is read again."""
    last_words = threading.Timer(seconds, os._exit, (70,))
    last_words.daemon = True
    last_words.start()


def create_app(settings: Settings, reached: Callable[[str], None] = lambda _: None) -> faust.App:
    """Build the worker. ``reached`` is told when a promise changes hands, so that a test can crash it there."""
    configure_structlog()
    registry = CollectorRegistry()
    health, metrics = Health("kafka", "streams", "rabbitmq"), Metrics(registry)
    app = Worker(
        settings.app_id,
        origin="streams",
        broker=[f"kafka://{server}" for server in settings.kafka_servers],
        broker_credentials=credentials(settings),
        broker_client_id="postcast-worker",
        logging_config=logging_config(settings.log_level or None, settings.log_format),
        # Held events would keep a rebalance waiting for themselves.
        stream_wait_empty=False,
        # From the start to the first event in seconds, and a takeover after a kill in ten (Kafka's own floor is 6).
        broker_session_timeout=6,
        broker_heartbeat_interval=1,
        broker_rebalance_timeout=15,
        broker_max_poll_interval=3600,
        consumer_auto_offset_reset="earliest",
        producer_request_timeout=10,
        topic_disable_leader=True,
        topic_allow_declare=False,
        worker_redirect_stdouts=False,
        web_port=settings.worker_port,
    )
    lookup, publisher = Lookup(settings), Publisher(settings, health)
    completion = Completion(
        settings, lookup=lookup, publisher=publisher, health=health, metrics=metrics, reached=reached
    )
    app.outlet = Outlet(publisher, lookup)
    app.flow = Flow(
        Group(app, settings.created_topic),
        settings,
        completion=completion,
        health=health,
        metrics=metrics,
        reached=reached,
    )
    app.watchdog = Watchdog(app.flow, publisher.reachable, health, Millis(settings.window_ms))
    app.bridge = Bridge(settings, publisher=publisher, health=health, metrics=metrics, reached=reached)

    created = app.topic(
        settings.created_topic,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        partitions=settings.created_partitions,
        replicas=settings.kafka_replication,
    )

    @app.agent(created)
    async def windows(stream: StreamT[bytes]) -> None:
        await app.flow.consume(stream)

    async def on_revoked(*_: Any, **__: Any) -> None:
        await app.flow.on_revoked()

    async def on_assigned(*_: Any, **__: Any) -> None:
        await app.flow.on_assigned()

    app.on_partitions_revoked.connect(on_revoked, weak=False)
    app.on_rebalance_complete.connect(on_assigned, weak=False)
    _serve_health(app, health, registry)
    return app


def _serve_health(app: faust.App, health: Health, registry: CollectorRegistry) -> None:
    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        problems = health.problems
        lines = "".join(f"{part}: {why}\n" for part, why in problems.items())
        return web.Response(status=503 if problems else 200, text=lines or "ok\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    server = app.web
    assert isinstance(server, HealthWeb)  # noqa: S101 - Worker makes it
    server.web_app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)])


app = create_app(load())
