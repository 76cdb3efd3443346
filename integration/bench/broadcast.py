"""The known way for many clients, to compare with: a ``websockets`` server and its ``broadcast``.

``python -m integration.bench.broadcast TOPIC`` follows the topic at ``KAFKA_URL`` and replies with its ``port``.
"""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

from integration.bench.following import follow
from integration.ports import free_port


async def _main() -> None:
    port = free_port()
    clients: set[ServerConnection] = set()

    async def attend(client: ServerConnection) -> None:
        clients.add(client)
        try:
            await client.wait_closed()
        finally:
            clients.discard(client)

    async def send(text: str) -> None:
        broadcast(clients, text)

    # As the edge here: no compression, and no pings, which the clients would not answer.
    async with serve(attend, "127.0.0.1", port, compression=None, ping_interval=None, backlog=1024):
        await follow(sys.argv[1], send, port=port)


if __name__ == "__main__":
    asyncio.run(_main())
