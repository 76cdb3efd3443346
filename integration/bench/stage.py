"""What every part of the benchmark is given: the services, and installations of Postcast on them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aio_pika
from aiokafka import AIOKafkaProducer

from integration import topics
from integration.bench.posts import IMAGE_BASE_URL
from integration.posts_service import announce, declare_queue
from integration.services import Services
from integration.system import Process, System

_HOURS: Final = {"PING_SECONDS": 3_600, "DEAD_SECONDS": 7_200}
"""The clients here answer no pings, so they get none: one each 20 s would be nothing beside what is measured."""


class Stage:
    """``say`` is told of the progress; ``logs`` is the folder for the processes' logs."""

    def __init__(self, services: Services, logs: Path, say: Callable[[str], None]) -> None:
        self.services = services
        self.logs = logs
        self.say = say

    @property
    def scratch(self) -> Path:
        """A folder that is gone at the end."""
        return self.services.scratch

    @property
    def database_url(self) -> str:
        """The database that posts are inserted into."""
        return self.services.postgres.url

    @property
    def kafka_url(self) -> str:
        """Kafka, as the environment names it."""
        return self.services.kafka.url

    @asynccontextmanager
    async def installation(self, **variables: object) -> AsyncIterator[tuple[System, Process]]:
        """Have an installation with an edge that is ready, and no worker yet."""
        with System(
            self.services.environment,
            self.logs,
            IMAGE_BASE_URL=IMAGE_BASE_URL,
            **{"JOIN_RATE": 0, **_HOURS, **variables},
        ) as system:
            # An edge waits for the feed, and it is the worker that makes it otherwise.
            await topics.create(self.kafka_url, {system.feed: 1})
            edge = system.edge()
            await asyncio.to_thread(edge.until_ready)
            yield system, edge

    @asynccontextmanager
    async def announcing(self, queue: str) -> AsyncIterator[Callable[[Sequence[int]], Awaitable[None]]]:
        """Declare a queue as the replaced system does, and yield what announces ids there."""
        async with await aio_pika.connect(self.services.rabbitmq.url) as connection:
            channel = await connection.channel(publisher_confirms=False)
            await declare_queue(channel, queue)

            async def publish(ids: Sequence[int]) -> None:
                await announce(channel, [b"%d" % id_ for id_ in ids], queue)

            yield publish

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        """Have a producer that writes as the worker does."""
        producer = AIOKafkaProducer(
            bootstrap_servers=[part.removeprefix("kafka://") for part in self.kafka_url.split(";")],
            acks="all",
            compression_type="lz4",
        )
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()
