"""Confirmed writes to Kafka, and the topics that they go to."""

import asyncio
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError, for_code

from streams.settings import Settings
from streams.telemetry import Health

# Kafka's default message.max.bytes leaves this to one record and its batch's header.
MAX_RECORD_BYTES: Final = 1_000_000
# Long enough to put the deliveries of one read from the queue into one batch, short beside a window.
_LINGER_MS: Final = 2
# A broker that does not answer for so long is asked anew; the record is sent again, and may stand twice.
_REQUEST_TIMEOUT_MS: Final = 10_000
_DAY_MS: Final = 24 * 60 * 60 * 1000


class TooLarge(Exception):
    """The record is larger than Kafka takes; sending it again would not help."""


class WrongTopic(Exception):
    """A topic exists with another number of partitions than the contract allows."""


class Publishes(Protocol):
    """Where records are written; :class:`Publisher` is the real one."""

    async def publish(
        self, topic: str, value: bytes, *, key: bytes | None = None, partition: int | None = None
    ) -> None:
        """Write a record and return when it is confirmed, however long that takes; raises :class:`TooLarge`."""
        ...


def delays() -> Iterator[float]:
    """Yield the seconds to wait before each new attempt: from 0.1, doubling, to 5 for ever."""
    return chain((0.1, 0.2, 0.4, 0.8, 1.6, 3.2), repeat(5.0))


class Publisher:
    """Writes records and returns when every replica in sync has them; keeps trying for ever."""

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._health = health
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Wait for Kafka, declare the topics, connect. Raises :class:`WrongTopic`."""
        for delay in delays():
            try:
                await declare_topics(self._settings)
                self._producer = await self._connected()
            except (KafkaError, OSError, TimeoutError) as error:
                self._health.waiting("kafka", f"waiting for Kafka at {self._settings.kafka_url}: {error}")
                await asyncio.sleep(delay)
            else:
                self._health.well("kafka")
                return

    async def stop(self) -> None:
        """Send what is buffered and disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def publish(
        self, topic: str, value: bytes, *, key: bytes | None = None, partition: int | None = None
    ) -> None:
        """Write one record and return when Kafka has confirmed it; raises :class:`TooLarge`.

        Sending again can write a record twice: what reads the feed knows repeats (law 2), and a repeated
        record of posts.created is looked up again.
        """
        assert self._producer is not None, "publish() before start()"  # noqa: S101 - the services' order
        for delay in delays():
            try:
                await self._producer.send_and_wait(topic, value, key=key, partition=partition)
            except MessageSizeTooLargeError as error:
                raise TooLarge(str(error)) from error
            except (KafkaError, OSError, TimeoutError) as error:
                self._health.waiting("kafka", f"Kafka does not confirm what is written: {type(error).__name__}")
                await asyncio.sleep(delay)
            else:
                self._health.well("kafka")
                return

    async def reachable(self) -> bool:
        """Say whether Kafka answers, by a connection that no consumer shares."""
        return self._producer is not None and bool(await self._producer.client.force_metadata_update())

    async def _connected(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_servers,
            acks="all",
            compression_type="lz4",
            linger_ms=_LINGER_MS,
            max_batch_size=MAX_RECORD_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )
        try:
            await producer.start()
        except BaseException:
            # aiokafka leaves the sockets and the tasks of a failed start open.
            await producer.stop()
            raise
        return producer


async def declare_topics(settings: Settings) -> None:
    """Create the topics that are missing, and check those that are there; raises :class:`WrongTopic`.

    Their order is part of the promise (one partition) or their number is what workers share (several),
    so no broker's default will do.
    """
    wanted = {
        settings.created_topic: (settings.created_partitions, settings.retention_days),
        settings.feed_topic: (1, settings.retention_days),
        settings.dead_topic: (1, settings.dead_retention_days),
    }
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka_servers, request_timeout_ms=_REQUEST_TIMEOUT_MS, client_id="postcast-topics"
    )
    try:
        await admin.start()
        there = set(await admin.list_topics())
        missing = [
            NewTopic(name, partitions, settings.kafka_replication, topic_configs=_configs(settings, days))
            for name, (partitions, days) in wanted.items()
            if name not in there
        ]
        if missing:
            for name, code, *_ in (await admin.create_topics(missing)).topic_errors:
                # Another worker may have been quicker.
                if (error := for_code(code)) is not TopicAlreadyExistsError and code != 0:
                    raise error(f"topic {name} cannot be created")
        [feed] = await admin.describe_topics([settings.feed_topic])
        if len(feed["partitions"]) > 1:
            raise WrongTopic(
                f"topic {settings.feed_topic} has {len(feed['partitions'])} partitions and must have one: "
                "delete it, or set FEED_TOPIC to another name"
            )
    finally:
        await admin.close()


def _configs(settings: Settings, days: int) -> dict[str, str]:
    # A majority: of three replicas one may be away without stopping the writes, and what is confirmed is on two.
    in_sync = settings.kafka_replication // 2 + 1
    return {"retention.ms": str(days * _DAY_MS), "min.insync.replicas": str(in_sync), "cleanup.policy": "delete"}
