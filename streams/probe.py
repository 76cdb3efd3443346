"""Asks Kafka by a connection of its own whether it answers: the second opinion about a consumer that waits for it."""

import asyncio
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.settings import Settings

_ANSWER_SECONDS: Final = 5.0


class Probe:
    """Asks the coordinator of the worker's consumer group for the group's offsets."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def answers(self) -> bool:
        """Say whether a broker and the group's coordinator answer within 5 s."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._ask()
        except (KafkaError, OSError, TimeoutError):
            return False
        return True

    async def _ask(self) -> None:
        admin = AIOKafkaAdminClient(**self._settings.kafka_client("postcast-worker"))
        try:
            await admin.start()
            await admin.list_consumer_group_offsets(self._settings.app_id)
        finally:
            await admin.close()
