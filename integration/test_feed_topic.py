"""The feed on Kafka keeps the contract of its double, the mock's topic in memory."""

import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from edge.feed.kafka import kafka_replay, kafka_topic
from edge.feed.topic import Topic
from edge.settings import Settings
from integration import topics
from integration.conftest import lacking
from integration.faults import logs
from integration.processes import TansuProcess
from integration.services import Services
from tests.edge.kit.topics import AS_KAFKA, CONTRACT, Stage

Connect = Callable[[Any, str], AbstractAsyncContextManager[Topic]]


class KafkaStage:
    """A topic on Kafka, and one of the two ways in which an edge connects to it."""

    def __init__(self, url: str, name: str, connect: Connect) -> None:
        self._url = url
        self._name = name
        self._connect = connect

    def connect(self) -> AbstractAsyncContextManager[Topic]:
        """Connect to it."""
        return self._connect(Settings(kafka_url=self._url).kafka_client("postcast-test"), self._name)

    async def write(self, *values: bytes) -> None:
        """Write records."""
        await topics.write(self._url, self._name, values)

    async def remove_before(self, offset: int) -> None:
        """Remove records."""
        await logs.cut(self._url, self._name, before=offset)


@pytest.fixture(params=[kafka_topic, kafka_replay])
async def stage(request: pytest.FixtureRequest, services: Services) -> Stage:
    """Make a topic of the test's own."""
    name = f"feed.{secrets.token_hex(4)}"
    await topics.create(services.kafka.url, {name: 1})
    return KafkaStage(services.kafka.url, name, request.param)


@pytest.mark.parametrize("claim", CONTRACT)
async def test_keeps_the_contract(claim: Callable[[Stage], Awaitable[None]], stage: Stage) -> None:
    await claim(stage)


@pytest.mark.parametrize("claim", AS_KAFKA)
async def test_keeps_what_a_stand_in_for_kafka_does_not(
    claim: Callable[[Stage], Awaitable[None]], stage: Stage, services: Services
) -> None:
    if isinstance(services.kafka, TansuProcess):
        lacking("this broker is no Kafka")
    await claim(stage)
