"""Kafka with TLS, certificates and passwords: both processes work through it, and no log holds a password.

A real Apache Kafka, in a container: what stands in for it where no Docker engine answers has none of this.
"""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from structlog.testing import capture_logs

from edge.feed.kafka import kafka_topic
from edge.feed.topic import Topic, Unreachable
from integration import topics
from integration.author import author_of
from integration.clients import PATIENCE_SECONDS, connect
from integration.conftest import Install, lacking
from integration.containers import KAFKA_IMAGE, use_reaper_if_there, why_no_engine, why_no_image
from integration.secured import DESCRIBE, GROUP, READ, TOPIC, USER, WRITE, Rule, SecuredKafka, allow, forbid
from integration.system import Process, System
from streams.contract import Offset, dead_letter, encode_dead
from streams.settings import TopicSettings
from streams.topics import WrongTopic, declare_topics

PASSWORD: Final = f"pass/word+{secrets.token_hex(8)}"
_WITHOUT_SECONDS: Final = 2.0
_DAY_MS: Final = 24 * 60 * 60 * 1000


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Start a secured broker, and remove it at the end."""
    image = os.environ.get("KAFKA_IMAGE") or KAFKA_IMAGE
    if obstacle := why_no_engine() or why_no_image(image):
        lacking(obstacle)
    use_reaper_if_there()
    broker = SecuredKafka(image, tmp_path_factory.mktemp("secured"), PASSWORD)
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


def variables(kafka: SecuredKafka, way: str) -> dict[str, str]:
    """Return the settings of one way to the broker."""
    login = {"KAFKA_SASL_USERNAME": USER, "KAFKA_SASL_PASSWORD": PASSWORD, "KAFKA_SASL_MECHANISM": way}
    authority = {"KAFKA_CA_FILE": str(kafka.files / "ca.pem")}
    match way:
        case "SSL":
            return {"KAFKA_URL": kafka.listener("TLS"), "KAFKA_SECURITY_PROTOCOL": "SSL", **authority}
        case "certificate":
            files = {name: str(kafka.files / f"{name}.pem") for name in ("cert", "key")}
            return {
                "KAFKA_URL": kafka.listener("MUTUAL"),
                "KAFKA_SECURITY_PROTOCOL": "SSL",
                **authority,
                "KAFKA_CERT_FILE": files["cert"],
                "KAFKA_KEY_FILE": files["key"],
            }
        case "SCRAM-SHA-512":
            return {
                "KAFKA_URL": kafka.listener("TLSLOGIN"),
                "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
                **login,
                **authority,
            }
        case "PLAIN" | "SCRAM-SHA-256":
            return {"KAFKA_URL": kafka.listener("LOGIN"), "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", **login}
        case _:
            return {"KAFKA_URL": kafka.listener("OPEN")}


def settings(given: dict[str, str], **changes: object) -> TopicSettings:
    """Return settings with topics of their own."""
    mark = secrets.token_hex(4)
    return TopicSettings.model_validate(
        {
            **{name.lower(): value for name, value in given.items()},
            "created_topic": f"created.{mark}",
            "feed_topic": f"feed.{mark}",
            "dead_topic": f"dead.{mark}",
            "created_partitions": 3,
            **changes,
        }
    )


WAYS: Final = ("SSL", "certificate", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@pytest.mark.parametrize("way", WAYS)
async def test_each_client_of_both_processes_gets_through(kafka: SecuredKafka, way: str) -> None:
    """The admin client, the producer, the edge's consumers."""
    found = settings(variables(kafka, way))
    await declare_topics(found)
    async with AIOKafkaProducer(**found.kafka_client("postcast-test"), acks="all") as producer:
        await producer.send_and_wait(found.feed_topic, b"a record", partition=0)
    async with kafka_topic(found.kafka_client("postcast-test"), found.feed_topic) as topic:
        assert await topic.partitions() == 1
        assert (await topic.bounds()).end == await _confirmed_end(topic) == 1
        await topic.seek(Offset(0))
        while not (records := (await topic.read()).records):
            pass
    assert [(record.offset, record.value) for record in records] == [(0, b"a record")]


async def _confirmed_end(topic: Topic) -> Offset:
    """Ask until a broker answers within the second that it is given: one that has just begun may be busy."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(Unreachable):
                return await topic.confirmed_end()
            await asyncio.sleep(0.1)


def without(given: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in given.items() if name not in names}


async def test_who_cannot_show_what_is_asked_for_does_not_get_through(kafka: SecuredKafka) -> None:
    login, mutual = variables(kafka, "SCRAM-SHA-512"), variables(kafka, "certificate")
    wrong = [
        ({**login, "KAFKA_SASL_PASSWORD": "wrong"}, "invalid credentials"),
        ({**login, "KAFKA_CA_FILE": str(kafka.files / "stranger.pem")}, "certificate verify failed"),
        (without(login, "KAFKA_CA_FILE"), "certificate verify failed"),
        (without(mutual, "KAFKA_CERT_FILE", "KAFKA_KEY_FILE"), "localhost"),
        ({"KAFKA_URL": kafka.listener("TLSLOGIN")}, "closed"),
    ]
    for given, why in wrong:
        found = settings(given)
        with pytest.raises(KafkaError, match=why):
            await declare_topics(found)
        with pytest.raises(Unreachable, match=why):
            async with kafka_topic(found.kafka_client("postcast-test"), found.feed_topic):
                pass


@asynccontextmanager
async def passing_on(port: int) -> AsyncIterator[int]:
    """Listen on the loopback address of IPv6 and pass everything on to a port of IPv4's."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with_broker = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, with_broker[1]), copy(with_broker[0], writer))

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(carry, "::1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("way", ["open", "SSL"])
async def test_a_broker_may_be_named_by_an_address_of_ipv6(kafka: SecuredKafka, way: str) -> None:
    given = variables(kafka, way)
    port = int(given["KAFKA_URL"].rpartition(":")[2])
    async with passing_on(port) as entrance:
        found = settings({**given, "KAFKA_URL": f"kafka://[::1]:{entrance}"})
        await declare_topics(found)
        async with kafka_topic(found.kafka_client("postcast-test"), found.feed_topic) as topic:
            assert await topic.partitions() == 1


async def _ready(system: System) -> tuple[Process, Process]:
    """Start a worker and an edge, and return both when they are ready."""
    worker, edge = system.worker(), system.edge()
    for process in (worker, edge):
        await asyncio.to_thread(process.until_ready)
    return worker, edge


async def _shown(install: Install, owner: dict[str, str], given: dict[str, str]) -> tuple[Process, Process]:
    """Show posts through a worker and an edge with these settings; return both."""
    system = install(**given, LOG_LEVEL="debug")
    worker, edge = await _ready(system)
    async with author_of(system, owner) as author, await connect(edge.websocket) as client:
        ids = await author.publish(5)
        await client.until_shown(5)
        assert sorted(client.ids) == ids
        assert client.posts == await author.expected(client.ids)
    return worker, edge


async def test_posts_are_shown_through_tls_and_scram_with_a_password_from_a_file(
    install: Install, owner: dict[str, str], kafka: SecuredKafka, tmp_path: Path
) -> None:
    """At level debug, where the libraries log what they send; and what Kafka knows the worker's consumer by."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    given = without(variables(kafka, "SCRAM-SHA-512"), "KAFKA_SASL_PASSWORD")
    processes = await _shown(install, owner, {**given, "KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password")})
    for process in processes:
        log = process.log.read_text("utf-8")
        assert '"level": "debug"' in log
        assert PASSWORD not in log


async def test_posts_are_shown_through_mutual_tls(install: Install, owner: dict[str, str], kafka: SecuredKafka) -> None:
    await _shown(install, owner, variables(kafka, "certificate"))


async def test_a_password_that_is_sent_in_the_clear_is_in_no_log(
    install: Install, owner: dict[str, str], kafka: SecuredKafka
) -> None:
    """PLAIN sends it as it is, in a request that aiokafka would log."""
    for process in await _shown(install, owner, variables(kafka, "PLAIN")):
        assert PASSWORD not in process.log.read_text("utf-8")


async def test_a_wrong_password_is_waited_out_and_said(install: Install, kafka: SecuredKafka) -> None:
    """Both processes run on, not ready, and their logs say what is refused."""
    system = install(**{**variables(kafka, "SCRAM-SHA-512"), "KAFKA_SASL_PASSWORD": "wr0ng-sesame"})
    worker, edge = system.worker(), system.edge()
    for process in (worker, edge):

        def says_why(log: Path = process.log) -> bool:
            return "invalid credentials" in log.read_text("utf-8")

        await asyncio.to_thread(process.until, says_why, "says what is refused")
        assert process.ask("/livez")[0] == 200
        assert process.ask("/readyz")[0] == 503
    # The edge shows its clients the same sentence: nothing of the broker's is in it.
    assert edge.ask("/readyz")[1] == "Kafka refuses the user or the password.\n"


async def test_the_documented_rights_are_enough_and_one_that_is_withdrawn_is_waited_for(
    install: Install, owner: dict[str, str], kafka: SecuredKafka
) -> None:
    """Those of worker and edge together, without the right to create topics, which are there."""
    system = install(**variables(kafka, "PLAIN"))
    topics = {"created_topic": system.created, "feed_topic": system.feed, "dead_topic": system.dead}
    found = settings(variables(kafka, "open"), **topics)
    await declare_topics(found)
    created = [Rule(TOPIC, system.created, operation) for operation in (DESCRIBE, READ, WRITE)]
    reading = Rule(TOPIC, system.feed, READ)
    admin = AIOKafkaAdminClient(**found.kafka_client("postcast-test"))
    await admin.start()
    try:
        await allow(
            admin,
            *created,
            *(Rule(TOPIC, system.feed, operation) for operation in (DESCRIBE, READ, WRITE)),
            *(Rule(TOPIC, system.dead, operation) for operation in (DESCRIBE, WRITE)),
            *(Rule(GROUP, system.environment["APP_ID"], operation) for operation in (DESCRIBE, READ)),
        )
        worker, edge = await _ready(system)
        async with author_of(system, owner) as author, await connect(edge.websocket) as client:
            ids = await author.publish(3)
            await client.until_shown(3)

            await forbid(admin, created[1])
            sentence = "Kafka does not allow this worker to read posts.created: grant it the right"
            await asyncio.to_thread(worker.until, lambda: sentence in worker.ask("/readyz")[1], "says what it may not")
            ids += await author.publish(2)
            await asyncio.sleep(_WITHOUT_SECONDS)
            assert len(client.ids) == 3

            await allow(admin, created[1])
            await client.until_shown(5)
            assert sorted(client.ids) == ids
            await asyncio.to_thread(worker.until_ready)

            await forbid(admin, reading)
            refused = "Kafka does not allow this edge to read the feed: grant it the right."
            await asyncio.to_thread(edge.until, lambda: refused in edge.ask("/readyz")[1], "says what it may not")
            ids += await author.publish(2)
            await allow(admin, reading)
            await client.until_shown(7)
            assert sorted(client.ids) == ids
            await asyncio.to_thread(edge.until_ready)
            assert (worker.exit_code, edge.exit_code) == (None, None)
    finally:
        await admin.close()


def dead(given: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Run ``python -m streams dead`` with these settings; return its exit code and the last thing that it says."""
    done = subprocess.run(
        [sys.executable, "-m", "streams", "dead", *arguments],
        env={"PATH": os.environ["PATH"], "DEAD_TOPIC": f"dead.{secrets.token_hex(4)}", **given},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr.strip().rpartition("\n")[2]


async def test_dead_letters_are_read_and_written_by_the_same_settings(kafka: SecuredKafka) -> None:
    for way in ("certificate", "SCRAM-SHA-512"):
        mark = secrets.token_hex(4)
        topics = {f"{kind.upper()}_TOPIC": f"{kind}.{mark}" for kind in ("created", "feed", "dead")}
        given = {**variables(kafka, way), **topics}
        await declare_topics(settings(variables(kafka, "PLAINTEXT"), **{k.lower(): v for k, v in topics.items()}))
        async with AIOKafkaProducer(
            bootstrap_servers=settings(variables(kafka, "PLAINTEXT")).kafka_servers
        ) as producer:
            letter = dead_letter("missing", "not in the database at 3 lookups", b"12")
            await producer.send_and_wait(topics["DEAD_TOPIC"], encode_dead(letter))
        assert await asyncio.to_thread(dead, given, "requeue") == (0, "1 requeued, 0 not")
        assert await asyncio.to_thread(dead, given, "list") == (0, "0 letters")


async def test_dead_letters_need_the_right_password_and_say_so(kafka: SecuredKafka) -> None:
    given = {**variables(kafka, "PLAIN"), "KAFKA_SASL_PASSWORD": "wr0ng-sesame"}
    code, said = await asyncio.to_thread(dead, given, "list")
    assert code == 1
    sentence = "no broker answers, or the user or the password is wrong"
    assert said == f"postcast: Kafka at {given['KAFKA_URL']} cannot be read: {sentence}"


async def partitions(found: TopicSettings) -> list[int]:
    admin = AIOKafkaAdminClient(**found.kafka_client("postcast-test"))
    await admin.start()
    try:
        topics = await admin.describe_topics([found.created_topic, found.feed_topic, found.dead_topic])
        counts = {topic["topic"]: len(topic["partitions"]) for topic in topics}
        return [counts[name] for name in (found.created_topic, found.feed_topic, found.dead_topic)]
    finally:
        await admin.close()


async def described(found: TopicSettings, name: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(**found.kafka_client("postcast-test"))
    await admin.start()
    try:
        [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        [(_, _, _, _, entries)] = response.resources
        return {entry[0]: entry[1] for entry in entries}
    finally:
        await admin.close()


async def test_topics_are_created_as_they_are_promised(kafka: SecuredKafka) -> None:
    found = settings(variables(kafka, "open"), retention_days=3, dead_retention_days=11)
    await declare_topics(found)
    for name, days in ((found.created_topic, 3), (found.feed_topic, 3), (found.dead_topic, 11)):
        configuration = await described(found, name)
        assert configuration["retention.ms"] == str(days * _DAY_MS)
        assert configuration["min.insync.replicas"] == "1"
        assert configuration["cleanup.policy"] == "delete"
    assert await partitions(found) == [3, 1, 1]
    with capture_logs() as logs:
        await declare_topics(found)
    assert [entry for entry in logs if entry["event"].startswith("topic.")] == []


async def create(found: TopicSettings, name: str, partitions: int, **configuration: str) -> None:
    admin = AIOKafkaAdminClient(**found.kafka_client("postcast-test"))
    await admin.start()
    await topics.create_by(admin, {name: partitions}, **configuration)
    await admin.close()


async def test_topics_that_exist_are_judged(kafka: SecuredKafka) -> None:
    """What cannot work is refused, all of it at once; what keeps less than it promises is told."""
    found = settings(variables(kafka, "open"))
    await create(found, found.feed_topic, 2)
    await create(found, found.created_topic, 2, cleanup_policy="compact")
    await create(found, found.dead_topic, 1, max_message_bytes="2000", retention_ms=str(_DAY_MS))
    with capture_logs() as logs, pytest.raises(WrongTopic) as raised:
        await declare_topics(found)
    assert str(raised.value).splitlines() == [
        (
            f"topic {found.created_topic} is compacted, which removes records that are needed: give it "
            "cleanup.policy=delete, or set CREATED_TOPIC to another name."
        ),
        f"topic {found.feed_topic} has 2 partitions and must have one: delete it, or set FEED_TOPIC to another name",
    ]
    assert [entry["why"].partition(":")[0] for entry in logs if entry["event"] == "topic.differs"] == [
        f"topic {found.created_topic} has 2 partitions, and CREATED_PARTITIONS=3",
        f"topic {found.dead_topic} keeps records for 1 days (retention.ms={_DAY_MS}), and DEAD_RETENTION_DAYS=30",
        f"topic {found.dead_topic} has max.message.bytes=2000",
    ]
