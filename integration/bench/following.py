"""What the plain servers share: they follow the feed and hand on each post's text, for as long as they are needed."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer

from edge.wire.messages import message
from integration.bench.companion import reply
from streams.contract import decode_feed

Send = Callable[[str], Awaitable[None]]


async def follow(topic: str, send: Send, *, port: int) -> None:
    """Reply with the ``port`` that is served, and ``send`` what comes on the topic; ends the process."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=[part.removeprefix("kafka://") for part in os.environ["KAFKA_URL"].split(";")]
    )
    await consumer.start()
    sending = asyncio.create_task(_hand_on(consumer, send))
    try:
        reply(port=port)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
        await ended.wait()
    finally:
        sending.cancel()
        await consumer.stop()
    # Thousands of clients need no farewell.
    os._exit(0)


async def _hand_on(consumer: AIOKafkaConsumer, send: Send) -> None:
    async for record in consumer:
        for publication in decode_feed(record.value).publications:
            await send(message(publication).decode())
