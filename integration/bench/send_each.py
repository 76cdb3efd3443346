"""The plain way, to compare with: an aiohttp server that sends each post to each client by itself.

``python -m integration.bench.send_each TOPIC`` follows the topic at ``KAFKA_URL`` and replies with its ``port``. With
``compress`` after that it agrees to compression as aiohttp has it, a compressor for each client.
"""

import asyncio
import sys
from typing import Final

from aiohttp import web

from integration.bench.following import follow
from integration.ports import free_port

COMPRESS: Final = "compress"


class _Server:
    def __init__(self, *, compress: bool) -> None:
        self._compress = compress
        self._clients: set[web.WebSocketResponse] = set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(compress=self._compress)
        await websocket.prepare(request)
        self._clients.add(websocket)
        try:
            async for _ in websocket:
                pass
        finally:
            self._clients.discard(websocket)
        return websocket

    async def send(self, text: str) -> None:
        for client in list(self._clients):
            await client.send_str(text)


async def _main() -> None:
    topic, *options = sys.argv[1:]
    server, port = _Server(compress=COMPRESS in options), free_port()
    application = web.Application()
    application.router.add_get("/", server.serve)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await follow(topic, server.send, port=port)


if __name__ == "__main__":
    asyncio.run(_main())
