"""The least that reading the queue can cost: an aio-pika loop that takes deliveries and acknowledges them.

``python -m integration.bench.bare_consumer COUNT PREFETCH`` takes that many from ``QUEUE_NAME`` at ``AMQP_URL`` and
replies with the ``seconds`` from subscribing to the last acknowledgement, and its ``cpu`` time in between. It runs on
uvloop, as the worker does.
"""

import asyncio
import os
import sys
import time

import aio_pika
import uvloop
from aio_pika.abc import AbstractIncomingMessage

from integration.bench.companion import reply


async def _main(count: int, prefetch: int) -> None:
    remaining = count
    done = asyncio.Event()

    async def acknowledge(message: AbstractIncomingMessage) -> None:
        nonlocal remaining
        await message.ack()
        remaining -= 1
        if not remaining:
            done.set()

    async with await aio_pika.connect(os.environ["AMQP_URL"]) as connection:
        channel = await connection.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=prefetch)
        queue = await channel.declare_queue(os.environ["QUEUE_NAME"], passive=True)
        started, cpu = time.monotonic(), time.process_time()
        await queue.consume(acknowledge)
        await done.wait()
        reply(seconds=time.monotonic() - started, cpu=time.process_time() - cpu)


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), int(sys.argv[2])))
