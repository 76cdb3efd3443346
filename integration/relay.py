"""What goes over the wire between a client and a server, counted by who carries it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from edge.mock.link import carrying

_PIECE: Final = 16 * 1024
_BUFFER: Final = 16 * 1024
"""What the relay's own sockets hold: small, so that who is held back is behind at the server too."""


class Relay:
    """One connection at a time between a client and a server on loopback. Made by :func:`relaying`.

    ``head`` is the server's answer to the handshake; ``received`` counts the bytes that came after it.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self.port = 0
        self.head = b""
        self.received = 0
        self.flowing = asyncio.Event()
        """Cleared, the client is sent nothing and nothing is read for it."""
        self.flowing.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until either end is gone."""
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        server.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(server, ("127.0.0.1", self._server_port))
        except ConnectionError:
            server.close()
            writer.close()
            return
        from_server, to_server = await asyncio.open_connection(sock=server, limit=_BUFFER)
        back = asyncio.create_task(self._copy(from_server, writer))
        try:
            while data := await reader.read(_PIECE):
                to_server.write(data)
                await to_server.drain()
        except ConnectionError:
            pass
        finally:
            # First, since the task may be cancelled while it waits.
            to_server.close()
            writer.close()
            back.cancel()
            await asyncio.wait([back])

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.head = await reader.readuntil(b"\r\n\r\n")
            writer.write(self.head)
            while data := await reader.read(_PIECE):
                self.received += len(data)
                writer.write(data)
                await writer.drain()
                await self.flowing.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # One of them was killed.
        finally:
            writer.close()


@asynccontextmanager
async def relaying(port: int) -> AsyncIterator[Relay]:
    """Relay to a server's port meanwhile, from a port of the relay's own."""
    relay = Relay(port)
    async with carrying(relay.carry, "127.0.0.1", 0) as relay.port:
        yield relay
