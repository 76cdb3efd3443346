"""Asks Kafka by a connection of its own whether it answers: the second opinion about a consumer that waits for it."""

import asyncio
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.settings import Settings

_ANSWER_SECONDS: Final = 5.0


class Probe:
    """Asks the coordinator of the worker's consumer group for the group's state."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def answers(self) -> bool:
        """Say whether a broker and the group's coordinator answer within 5 s."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self._coordinates()
        except (KafkaError, OSError, TimeoutError):
            return False

    async def _coordinates(self) -> bool:
        admin = AIOKafkaAdminClient(**self._settings.kafka_client("postcast-worker"))
        try:
            await admin.start()
            answers = await admin.describe_consumer_groups([self._settings.app_id])
            # A coordinator that is loading, or is none any more, says so in the group's error code.
            return all(group[0] == 0 for answer in answers for group in answer.groups)
        finally:
            await admin.close()
