"""What brokers are asked about topics, with a broker in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest, MetadataRequest_v5, MetadataResponse_v5

from edge.feed import metadata
from edge.feed.kafka import kafka_feed
from edge.feed.metadata import ask_for_tracked_topics_only, refused_reads, track
from edge.feed.topic import Unreachable
from tests import frozen

BROKERS = [(number, f"broker-{number}", 9092, None) for number in range(3)]
NO_ERROR, UNKNOWN_TOPIC, NOT_ALLOWED = 0, 3, 29


class Cluster:
    """Three brokers, of which some are away."""

    def __init__(self) -> None:
        self.topics = {"posts.feed": 1, "other": 50}
        self.forbidden: set[str] = set()
        self.away: set[int] = set()
        self.lost: set[int] = set()
        self.asked: list[tuple[list[str] | None, bool]] = []

    async def connection(self, number: int) -> "Connection | None":
        """Connect to a broker."""
        return None if number in self.away else Connection(self, number)

    def answer(self, names: list[str] | None) -> MetadataResponse_v5:
        """Describe topics."""
        described: list[tuple[Any, ...]] = [
            (
                NOT_ALLOWED if name in self.forbidden else NO_ERROR if name in self.topics else UNKNOWN_TOPIC,
                name,
                False,
                [(NO_ERROR, number, 0, [0], [0], []) for number in range(self.topics.get(name, 0))],
            )
            for name in (self.topics if names is None else names)
        ]
        return MetadataResponse_v5(0, BROKERS, "cluster", 0, described)


class Connection:
    """One to a broker."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.cluster = cluster
        self.number = number

    async def send(self, request: Any) -> MetadataResponse_v5:
        """Answer."""
        if self.number in self.cluster.lost:
            raise KafkaConnectionError
        built = request.build(MetadataRequest_v5)
        self.cluster.asked.append((built.topics, built.allow_auto_topic_creation))
        return self.cluster.answer(built.topics)


@asynccontextmanager
async def consuming(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AIOKafkaConsumer]:
    """Make a consumer that knows the brokers."""
    consumer = AIOKafkaConsumer(bootstrap_servers="nowhere")
    ask_for_tracked_topics_only(consumer)
    client = consumer._client  # noqa: SLF001 - aiokafka has no port for a double
    monkeypatch.setattr(client, "_get_conn", cluster.connection)

    async def update(topics: set[str]) -> bool:
        return bool(await client._metadata_update(client.cluster, topics))  # noqa: SLF001 - see above

    def soon() -> Any:
        return update(client._topics)  # noqa: SLF001 - see above

    monkeypatch.setattr(client, "force_metadata_update", soon)
    monkeypatch.setattr(client, "set_topics", lambda topics: setattr(client, "_topics", set(topics)))
    client.cluster.update_metadata(cluster.answer([]))
    try:
        yield consumer
    finally:
        await consumer.stop()


async def test_brokers_are_asked_for_the_one_topic_and_make_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither all topics of a cluster that others share, nor a topic with partitions as the broker likes."""
    cluster = Cluster()
    async with consuming(cluster, monkeypatch) as consumer:
        await track(consumer, "posts.feed")
        assert cluster.asked == [(["posts.feed"], False)]
        assert consumer.partitions_for_topic("posts.feed") == {0}
        assert consumer.partitions_for_topic("other") is None
        del cluster.topics["posts.feed"]
        await track(consumer, "posts.feed")
        assert cluster.asked[1:] == [(["posts.feed"], False)]
        assert not consumer.partitions_for_topic("posts.feed")


async def test_reads_that_are_refused_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an error in the answer, or by none; what else is asked does not count."""
    answers: list[Any] = [SimpleNamespace(topics=[("posts.feed", [(0, error, 7)])]) for error in (0, UNKNOWN_TOPIC)]

    async def send(_client: AIOKafkaClient, _node_id: int, _request: Any) -> Any:
        if not answers:
            raise KafkaConnectionError
        return answers.pop(0)

    monkeypatch.setattr(AIOKafkaClient, "send", send)
    read = FetchRequest(500, 1, 1 << 20, 0, [])
    async with consuming(Cluster(), monkeypatch) as consumer:
        client = consumer._client  # noqa: SLF001 - aiokafka has no port for a double
        for refused in (0, 1):
            await client.send(0, read)
            assert refused_reads(consumer) == refused
        for request, refused in ((read, 2), (MetadataRequest([]), 2)):
            with pytest.raises(KafkaConnectionError):
                await client.send(0, request)
            assert refused_reads(consumer) == refused


async def test_who_tracks_none_asks_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer begins before it knows what it is for."""
    cluster = Cluster()
    async with consuming(cluster, monkeypatch) as consumer:
        assert await consumer._client.force_metadata_update()  # noqa: SLF001 - aiokafka has no port for a double
        assert cluster.asked == [([], False)]


async def test_whoever_answers_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """And when nobody does, what was known stays known."""
    cluster = Cluster()
    async with consuming(cluster, monkeypatch) as consumer:
        cluster.away, cluster.lost = {0}, {2}
        await track(consumer, "posts.feed")
        cluster.away = {0, 1}
        assert not await consumer._client.force_metadata_update()  # noqa: SLF001 - aiokafka has no port for a double
        assert len(cluster.asked) == 1
        assert consumer.partitions_for_topic("posts.feed") == {0}


async def test_a_topic_that_nobody_tells_of_is_not_a_topic_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers, or who answers does not describe it to everybody; the operator is told which."""
    cluster = Cluster()
    async with consuming(cluster, monkeypatch) as consumer:
        cluster.away = {0, 1, 2}
        with pytest.raises(Unreachable) as silence:
            await track(consumer, "posts.feed")
        cluster.away, cluster.forbidden = set(), {"posts.feed"}
        with pytest.raises(Unreachable) as refusal:
            await track(consumer, "posts.feed")
    assert [raised.value.sentence for raised in (silence, refusal)] == [
        "Kafka does not answer.",
        "Kafka does not allow this edge to read the feed: grant it the right.",
    ]


async def test_a_broker_that_nobody_can_look_up_is_one_that_does_not_answer() -> None:
    """By such a name the client's task that asks ended without a word, and the edge waited until it was restarted."""
    async with frozen.kafka({"posts.feed": 1}, host="kafka-0..svc") as broker, asyncio.timeout(20):
        feed = kafka_feed({"bootstrap_servers": [f"localhost:{broker.port}"]}, "posts.feed")
        async with feed.topic() as topic:
            with pytest.raises(Unreachable):
                await topic.partitions()


async def test_a_client_that_asks_nobody_any_more_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever has ended its task."""
    monkeypatch.setattr(metadata, "_ANSWER_SECONDS", 0.1)
    async with consuming(Cluster(), monkeypatch) as consumer:
        client = consumer._client  # noqa: SLF001 - aiokafka has no port for a double
        monkeypatch.setattr(client, "force_metadata_update", asyncio.get_running_loop().create_future)
        with pytest.raises(TimeoutError):
            await track(consumer, "posts.feed")
