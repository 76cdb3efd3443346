"""The worker: its parts put together into one Faust app."""

import os
import time
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Final, cast

import faust
import mode.loop
from faust.app import BootStrategy
from faust.types import StreamT, TransportT
from faust.types.web import Web
from mode import Service
from mode.types import ServiceT
from prometheus_client import CollectorRegistry

from runtime.ending import end_within
from runtime.kafka_connections import mend_kafka_connections
from runtime.logs import configure_structlog, logging_config
from runtime.settings import unread_variables
from streams.agent import Flow
from streams.bridge import Bridge
from streams.completion import Completion
from streams.connections import Database, Producer
from streams.contract import Millis
from streams.credentials import credentials
from streams.group import Group
from streams.kafka_consumer import Consumer
from streams.letters import LetterLog
from streams.lookup import Lookup
from streams.probe import Probe
from streams.process import Process
from streams.progress import OpenWork, Progress, Stage
from streams.publisher import Publisher
from streams.rabbit import RabbitMQ
from streams.reporter import Reporter
from streams.settings import Settings
from streams.telemetry import Metrics, log
from streams.watchdog import RunningClock, Watchdog
from streams.web import HealthWeb, serve_health

# Before Faust makes a loop: 1.26 times the events a second (Faust's own setting for it crashes).
mode.loop.use("uvloop")

# What an orderly end takes: the batch in work has 3 s, and Kafka is told that we leave.
_LAST_WORDS_SECONDS: Final = 8.0
# What a stop may take: what is in flight has 5 s, the batch in work 3 s, and each of Kafka's clients a few until it
# gives up. A cluster gives us a minute.
_STOP_SECONDS: Final = 15.0
# The exit code where that was not enough; what is not committed is read again.
_NOT_IN_TIME: Final = os.EX_SOFTWARE


class Started(Service):
    """The last service to start: until then the worker waits for those before it."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._starting = OpenWork(stage)
        self._starting.open().waits("start", "the worker has not started yet")

    async def on_start(self) -> None:
        """Report that everything has started; what is not connected yet reports that itself."""
        self._starting.close()


class Boot(BootStrategy):
    """Health is served first, and the producer stands before all that needs Kafka.

    Services are stopped in the opposite order: the bridge first, then the windows, while the consumer can still commit
    what they release and the producer can still write.
    """

    def server(self) -> Iterable[ServiceT]:
        """Return what a worker consists of, in the order of its start."""
        app = self.app
        assert isinstance(app, Worker)  # noqa: S101 - only Worker names this strategy
        return chain(
            self.sensors(),
            self.web_server(),
            [app.reporter, app.database, app.producing],
            self.kafka_producer(),
            self.kafka_consumer(),
            self.agents(),
            self.kafka_conductor(),
            self.tables(),
            [app.flow, app.bridge, app.watchdog, app.all_started],
        )


class Worker(faust.App):
    """The Faust app, and the services of ours that live and end with it."""

    BootStrategy = Boot
    reporter: Reporter
    database: Database
    producing: Producer
    flow: Flow
    bridge: Bridge
    watchdog: Watchdog
    all_started: Started

    def _new_transport(self) -> TransportT:
        transport = super()._new_transport()
        cast(Any, transport).Consumer = Consumer
        return transport

    def _new_web(self) -> Web:
        return HealthWeb(self)

    def _crash(self, reason: BaseException) -> None:
        """End soon, whatever hangs: a consumer's thread that is stuck would keep a crashed worker for ever."""
        super()._crash(reason)
        end_within(_LAST_WORDS_SECONDS, _NOT_IN_TIME)

    async def on_stop(self) -> None:
        """Stop in any case: while Kafka is away, its consumer's thread may die of being stopped and keep us waiting."""
        end_within(_STOP_SECONDS, _NOT_IN_TIME)
        await super().on_stop()

    def _create_directories(self) -> None:
        """Make none: without tables nothing is kept on disk, and the file system may be read-only."""


def create_app(settings: Settings, checkpoint: Callable[[str], None] = lambda _: None) -> faust.App:
    """Build the worker. ``checkpoint`` is told when a promise changes hands, so that a test can crash it there."""
    configure_structlog()
    mend_kafka_connections()
    registry, clock = CollectorRegistry(), RunningClock(time.monotonic)
    progress = Progress(clock)
    metrics, letters = Metrics(registry, progress), LetterLog(time.monotonic, _warn_of_letters)
    app = Worker(
        settings.app_id,
        origin="streams",
        broker=[f"kafka://{server}" for server in settings.kafka_servers],
        broker_credentials=credentials(settings),
        broker_client_id="postcast-worker",
        Worker=Process,
        logging_config=logging_config(settings.log_level or None, settings.log_format),
        # Held events would keep a rebalance waiting for themselves.
        stream_wait_empty=False,
        # From the start to the first event in seconds, and a takeover after a kill in ten (Kafka's own floor is 6).
        broker_session_timeout=6,
        broker_heartbeat_interval=1,
        broker_rebalance_timeout=15,
        # An answer that got lost, of a new connection for instance, holds up the consumer for so long. Faust's 90 s are
        # more than the watchdog waits; joining the group takes as long as a rebalance may.
        broker_request_timeout=20,
        broker_max_poll_interval=3600,
        consumer_auto_offset_reset="earliest",
        # How soon added partitions are read, and a partition's loss of its leader, or of its leader's office, is known.
        consumer_metadata_max_age_ms=10_000,
        producer_request_timeout=10,
        topic_disable_leader=True,
        topic_allow_declare=False,
        worker_redirect_stdouts=False,
        web_port=settings.worker_port,
    )
    app.all_started = Started(progress.stage("start"))
    bridge, read, look_up, publish, commit = map(progress.stage, ("bridge", "read", "look up", "publish", "commit"))
    lookup, publisher = Lookup(settings), Publisher(settings)
    completion = Completion(
        settings,
        lookup=lookup,
        publisher=publisher,
        look_up=look_up,
        publish=publish,
        metrics=metrics,
        letters=letters,
        checkpoint=checkpoint,
        clock=clock,
    )
    app.reporter = Reporter(progress, unread_variables(Settings))
    app.database = Database(lookup, look_up)
    app.producing = Producer(publisher, publish)
    app.flow = Flow(
        Group(app, settings.created_topic),
        settings,
        completion=completion,
        read=read,
        commit=commit,
        metrics=metrics,
        checkpoint=checkpoint,
    )
    metrics.read_from(app.flow.standing)
    app.bridge = Bridge(
        settings,
        RabbitMQ(settings, time.monotonic),
        publisher,
        stage=bridge,
        metrics=metrics,
        letters=letters,
        checkpoint=checkpoint,
    )
    app.watchdog = Watchdog(
        app.flow, progress, answers=Probe(settings).answers, clock=clock, window=Millis(settings.window_ms)
    )

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
    serve_health(app, progress, registry)
    return app


def _warn_of_letters(reason: str, number: int) -> None:
    log.warning("letters.dead", reason=reason, number=number)
