"""Asks Kafka by connections of its own whether it answers: the second opinion about a consumer that waits for it."""

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from runtime.kafka_connections import consumer_stopped, stopped
from runtime.waiting import uncancelled
from streams.settings import Settings

_ANSWER_SECONDS: Final = 5.0


class Probe:
    """Asks what the worker's consumer asks: the group's coordinator, and the leaders of posts.created."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def answers(self) -> bool:
        """Say whether the coordinator and the leaders of all partitions answer within 5 s."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                with uncancelled():
                    return await self._is_coordinated() and await self._is_led()
        except (KafkaError, OSError, TimeoutError):
            return False

    async def _is_coordinated(self) -> bool:
        admin = AIOKafkaAdminClient(**self._settings.kafka_client("postcast-worker"))
        try:
            await admin.start()
            answers = await admin.describe_consumer_groups([self._settings.app_id])
            # A coordinator that is loading, or is none any more, says so in the group's error code.
            return all(group[0] == 0 for answer in answers for group in answer.groups)
        finally:
            await stopped(admin.close)

    async def _is_led(self) -> bool:
        consumer = AIOKafkaConsumer(self._settings.created_topic, **self._settings.kafka_client("postcast-worker"))
        try:
            await consumer.start()
            # Of a partition without a leader there is no answer.
            return bool(await consumer.end_offsets(list(consumer.assignment())))
        finally:
            await consumer_stopped(consumer)
