"""The worker's parts hang together: in which order they start, what they tell each other, and how it ends."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, ClassVar, cast

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from aiokafka.errors import KafkaConnectionError
from faust.types import TP
from mode import Service
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from streams.agent import Flow
from streams.contract import Partition
from streams.kafka_consumer import Consumer
from streams.settings import Settings
from streams.standstill import Place
from streams.web import HealthWeb
from tests.streams import worker_app
from tests.streams.memory_group import MemoryStream
from tests.streams.memory_kafka import SETTINGS
from tests.streams.worker_app import worker

STAGES = ["start", "bridge", "read", "look up", "publish", "commit", "consumer"]


class FlowSeen:
    """A flow that writes down what it is told, and whether records flowed at that moment."""

    def __init__(self, app: worker.Worker) -> None:
        self.told: list[tuple[str, bool]] = []
        self._app = app

    def _note(self, what: str) -> None:
        self.told.append((what, bool(cast(Consumer, self._app.consumer).flow_active)))

    async def consume(self, stream: Any) -> None:
        self._note("consume")
        async for event in stream.noack().events():
            self._note(event)

    async def on_revoked(self) -> None:
        self._note("revoked")

    async def on_assigned(self) -> None:
        self._note("assigned")


def create(checkpoint: Callable[[str], None] = lambda _: None, **settings: object) -> worker.Worker:
    """Make a worker that is never started, in a test's event loop."""
    values = {name: getattr(SETTINGS, name) for name in ("amqp_url", "database_url", "kafka_url")}
    app = worker_app.create(Settings.model_validate(values | settings), checkpoint)
    # Its thread's event loop never runs.
    cast(Any, app.consumer)._thread.thread_loop.close()  # noqa: SLF001 - no public way
    return app


async def get(app: worker.Worker, path: str) -> web.Response:
    request = make_mocked_request("GET", path)
    match = await cast(HealthWeb, app.web).web_app.router.resolve(request)
    return cast(web.Response, await match.handler(request))


async def metrics(app: worker.Worker) -> dict[str, list[dict[str, str]]]:
    """Return the labels of all samples, by name."""
    body = (await get(app, "/metrics")).body
    assert isinstance(body, bytes)
    samples = [sample for family in text_string_to_metric_families(body.decode()) for sample in family.samples]
    return {name: [s.labels for s in samples if s.name == name] for name in {s.name for s in samples}}


# -- the order -----------------------------------------------------------------------------------


async def test_health_comes_first_then_the_producer_then_what_reads_then_what_writes() -> None:
    """Services are stopped in the opposite order, and Faust's own must be where it has them."""
    app = create()
    services = [type(service).__name__ for service in worker.Boot(app).server()]
    assert services == [
        "CacheBackend",
        "HealthWeb",
        "Reporter",
        "Database",
        "Producer",
        "Producer",
        "Consumer",
        "LeaderAssignor",
        "ReplyConsumer",
        "AgentManager",
        "Conductor",
        "TableManager",
        "Flow",
        "Bridge",
        "Watchdog",
        "Started",
    ]
    assert list(worker.Boot(app).server())[4] is app.producing
    assert isinstance(app.boot_strategy, worker.Boot)


async def test_until_everything_has_started_the_worker_is_not_ready() -> None:
    app = create()
    assert "start: the worker has not started yet\n" in str((await get(app, "/readyz")).text)
    await app.all_started.on_start()
    assert "start:" not in str((await get(app, "/readyz")).text)


async def test_a_worker_without_partitions_is_not_ready() -> None:
    app = create()
    await app.all_started.on_start()
    readyz = await get(app, "/readyz")
    assert (readyz.status, readyz.text) == (503, "read: waiting for partitions of posts.created\n")


# -- what is Faust's, and is ours ----------------------------------------------------------------


async def test_the_consumer_and_the_web_server_are_ours() -> None:
    app = create(worker_port=7007)
    assert isinstance(app.consumer, Consumer)
    assert isinstance(app.web, HealthWeb)
    assert app.conf.web_port == 7007


async def test_aiokafka_is_told_how_soon_a_dead_worker_is_noticed_and_to_commit_nothing_by_itself() -> None:
    """docs/reliability.md says the seconds: Kafka waits 6 s for a killed worker."""
    app = create(app_id="announcer", kafka_security_protocol="SASL_PLAINTEXT", kafka_sasl_mechanism="PLAIN",
                 kafka_sasl_username="u", kafka_sasl_password="p")  # fmt: skip
    thread = cast(Any, app.consumer)._thread  # noqa: SLF001 - Faust's
    kafka = thread._create_consumer(loop=asyncio.get_running_loop())  # noqa: SLF001 - Faust's
    await kafka.stop()
    told = {
        name: getattr(kafka, f"_{name}")
        for name in (
            "group_id",
            "session_timeout_ms",
            "heartbeat_interval_ms",
            "rebalance_timeout_ms",
            "request_timeout_ms",
            "auto_offset_reset",
            "enable_auto_commit",
            "isolation_level",
        )
    }
    assert told == {
        "group_id": "announcer",
        "session_timeout_ms": 6000,
        "heartbeat_interval_ms": 1000,
        "rebalance_timeout_ms": 15_000,
        "request_timeout_ms": 20_000,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "isolation_level": "read_uncommitted",
    }
    client = kafka._client  # noqa: SLF001 - no public way
    assert client._client_id == "postcast-worker"  # noqa: SLF001 - no public way
    assert client._metadata_max_age_ms == 10_000  # noqa: SLF001 - no public way
    assert client._bootstrap_servers == ["one:9092", "two:9093"]  # noqa: SLF001 - no public way
    assert client._security_protocol == "SASL_PLAINTEXT"  # noqa: SLF001 - no public way


async def test_a_window_that_waits_is_no_reason_to_end_a_worker() -> None:
    """By default Kafka takes the partitions of a consumer that asks for nothing for some minutes."""
    app = create()
    assert app.conf.broker_max_poll_interval == 3600
    assert app.conf.stream_wait_empty is False


async def test_posts_created_is_read_raw() -> None:
    """What is in a record is judged by us, and Faust would drop what it cannot decode."""
    app = create(created_topic="announced", created_partitions=3, kafka_replication=2)
    [agent] = app.agents.values()
    topic = cast(Any, agent.channel)
    assert (topic.topics, topic.partitions, topic.replicas) == (("announced",), 3, 2)
    for part in ("key", "value"):
        assert (getattr(topic, f"{part}_type"), getattr(topic, f"{part}_serializer")) == (bytes, "raw")
    assert app.conf.topic_allow_declare is False
    assert app.conf.topic_disable_leader is True


async def test_the_stream_is_the_flows() -> None:
    app = create()
    app.flow = seen = cast(Any, FlowSeen(app))
    [agent] = app.agents.values()
    events: asyncio.Queue[Any] = asyncio.Queue()
    events.put_nowait("a record")
    consuming = asyncio.create_task(cast(Any, agent).fun(MemoryStream(events)))
    await asyncio.sleep(0)
    consuming.cancel()
    assert [what for what, _ in seen.told] == ["consume", "a record"]


async def test_a_rebalance_is_told_to_the_flow_while_no_records_flow() -> None:
    """From Faust's own steps of a rebalance: reading begins where the flow has sought, and nowhere before."""
    app = create()
    app.flow = seen = cast(Any, FlowSeen(app))
    cast(Any, app.consumer)._thread._consumer = NoAssignment({TP("posts.created", 0)})  # noqa: SLF001 - Faust's
    app.consumer.resume_flow()
    await app._on_partitions_revoked(set())  # noqa: SLF001 - what Faust calls
    assert seen.told == [("revoked", False)]
    app.consumer_generation_id = 4
    await app.tables.recovery._resume_streams(4)  # type: ignore[attr-defined] # noqa: SLF001 - what Faust runs after it
    assert seen.told == [("revoked", False), ("assigned", False)]
    assert cast(Consumer, app.consumer).flow_active


class NoAssignment:
    """What Faust asks of aiokafka in a rebalance."""

    def __init__(self, partitions: set[TP]) -> None:
        self._partitions = partitions

    def assignment(self) -> set[TP]:
        return self._partitions


async def test_nothing_is_written_to_the_disk(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system may be read-only."""
    monkeypatch.chdir(tmp_path)
    await create().on_first_start()
    assert list(tmp_path.iterdir()) == []


# -- one report for all --------------------------------------------------------------------------


async def test_every_part_reports_to_the_same_readiness_and_metrics() -> None:
    app = create()
    samples = await metrics(app)
    assert [labels["part"] for labels in samples["postcast_waiting"]] == STAGES
    assert [labels["kind"] for labels in samples["postcast_held_ids"]] == ["live", "overdue"]


class Clock:
    """A clock that stands until a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class ProbeSeen:
    """A Kafka that answers nobody, and counts how often it is asked."""

    asked: ClassVar[list[Settings]] = []

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def answers(self) -> bool:
        self.asked.append(self._settings)
        return False


async def test_the_watchdog_looks_at_all_of_it_by_one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was suspended is not stuck: the clock that tells it is the stages', too."""
    clock, wrapped = Clock(), list[object]()

    def running(steady: object) -> Clock:
        wrapped.append(steady)
        return clock

    async def nowhere() -> dict[Partition, Place]:
        raise KafkaConnectionError

    monkeypatch.setattr(worker, "RunningClock", running)
    monkeypatch.setattr(worker, "Probe", ProbeSeen)
    monkeypatch.setattr(ProbeSeen, "asked", [])
    app = create(window_seconds=2)
    assert wrapped == [time.monotonic]
    monkeypatch.setattr(app.flow, "places", nowhere)
    watch = cast(Any, app.watchdog)._watch  # noqa: SLF001 - what its task calls
    assert await watch.look() is None
    assert [settings.window_ms for settings in ProbeSeen.asked] == [2000]
    assert "consumer: the consumer gets no answer from Kafka\n" in str((await get(app, "/readyz")).text)
    with cast(Any, app.flow)._commit_stage.work():  # noqa: SLF001 - a stage that has work
        clock.now = 20
        assert await watch.look() == "stage commit has neither progressed nor waited for anything for 20 s"
    assert watch._standstill._window == 2000  # noqa: SLF001 - how long a window takes is the settings'


async def test_each_part_reports_as_the_stage_whose_work_it_does() -> None:
    app = create()
    parts: dict[str, Any] = {"database": app.database, "producing": app.producing, "bridge": app.bridge}
    stages = {name: part._stage.name for name, part in parts.items()}  # noqa: SLF001 - as /readyz will name them
    assert stages == {"database": "look up", "producing": "publish", "bridge": "bridge"}


async def test_logs_of_all_libraries_have_one_form() -> None:
    logs = structlog.get_config()
    try:
        app = worker.create_app(SETTINGS.model_copy(update={"log_level": "debug", "log_format": "json"}))
        assert isinstance(structlog.get_config()["logger_factory"], structlog.stdlib.LoggerFactory)
    finally:
        structlog.configure(**logs)
    logging_config = cast(Any, app.conf.logging_config)
    assert logging_config["root"]["level"] == "DEBUG"
    *_, renderer = logging_config["formatters"]["structlog"]["processors"]
    assert isinstance(renderer, structlog.processors.JSONRenderer)
    # Standard output is for the log: Faust would log what is printed.
    assert app.conf.worker_redirect_stdouts is False


async def test_a_point_where_a_promise_changes_hands_is_told() -> None:
    points: list[str] = []
    app = create(points.append)
    await app.flow.on_revoked()
    assert points == ["partitions.revoked"]


async def test_a_variable_that_nobody_reads_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BROKERS", "broker:9092")
    app = create()
    structlog.reset_defaults()
    with capture_logs() as logs:
        await app.reporter.on_start()
    [line] = [line for line in logs if "KAFKA_BROKERS" in str(line.get("why"))]
    assert line["event"] == "settings.unread"


# -- the end -------------------------------------------------------------------------------------


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """Collect the seconds within which the process would end, and with which exit code."""
    limits: list[tuple[float, int]] = []
    monkeypatch.setattr(worker, "end_within", lambda *limit: limits.append(limit))
    return limits


async def test_a_part_that_crashes_ends_the_worker_soon_whatever_hangs(limits: list[tuple[float, int]]) -> None:
    """docs/operations.md says the seconds."""
    app = create()
    part = Service(beacon=app.beacon)
    await part.crash(ZeroDivisionError("a defect"))
    assert app.crashed
    assert set(limits) == {(8.0, 70)}


async def test_an_orderly_stop_takes_so_long_and_no_longer(limits: list[tuple[float, int]]) -> None:
    """Likewise."""
    app = create()
    stopped: list[str] = []

    async def consumer_stops() -> None:
        stopped.append(f"within {limits}")

    app._stop_consumer = consumer_stops  # type: ignore[method-assign] # noqa: SLF001 - what may hang
    await app.on_stop()
    assert stopped == ["within [(15.0, 70)]"]


def test_the_event_loop_is_uvloops() -> None:
    """Faust makes it before any code of ours runs."""
    program = "import asyncio, streams.worker; print(type(asyncio.new_event_loop()).__module__)"
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "uvloop\n")


async def test_both_ends_count_letters_into_one_warning() -> None:
    app = create()
    bridge, completion = cast(Any, app.bridge), cast(Any, app.flow)._completion  # noqa: SLF001 - what they share
    structlog.reset_defaults()
    with capture_logs() as logs:
        completion._letters.count("not_an_id")  # noqa: SLF001 - likewise
        bridge._letters.count("not_an_id")  # noqa: SLF001 - likewise
        bridge._letters.flush()  # noqa: SLF001 - likewise
    assert [(line["event"], line["reason"], line["number"]) for line in logs] == [("letters.dead", "not_an_id", 2)]


def test_the_flow_is_told_apart_from_its_double() -> None:
    for name in ("consume", "on_revoked", "on_assigned"):
        assert asyncio.iscoroutinefunction(getattr(Flow, name))
        assert asyncio.iscoroutinefunction(getattr(FlowSeen, name))
