"""The plain way, to compare with: an aiohttp server that sends each post to each client by itself.

``python -m integration.bench.send_each TOPIC`` follows the topic at ``KAFKA_URL`` and replies with its ``port``.
"""

import asyncio
import os
import sys

from aiohttp import web
from aiokafka import AIOKafkaConsumer

from edge.frames import message
from integration.bench.companion import reply
from integration.ports import free_port
from streams.contract import decode_feed


class _Server:
    def __init__(self) -> None:
        self._clients: set[web.WebSocketResponse] = set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(compress=False)
        await websocket.prepare(request)
        self._clients.add(websocket)
        try:
            async for _ in websocket:
                pass
        finally:
            self._clients.discard(websocket)
        return websocket

    async def follow(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            for publication in decode_feed(record.value).publications:
                text = message(publication).decode()
                for client in list(self._clients):
                    await client.send_str(text)


async def _main() -> None:
    server, port = _Server(), free_port()
    application = web.Application()
    application.router.add_get("/", server.serve)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    consumer = AIOKafkaConsumer(
        sys.argv[1], bootstrap_servers=[part.removeprefix("kafka://") for part in os.environ["KAFKA_URL"].split(";")]
    )
    await runner.setup()
    await consumer.start()
    following = asyncio.create_task(server.follow(consumer))
    try:
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        reply(port=port)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
        await ended.wait()
    finally:
        following.cancel()
        await consumer.stop()
    # Thousands of clients need no farewell.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_main())
