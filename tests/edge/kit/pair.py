"""Both ends of one client's connection: the edge's, and a socket without a client behind it."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from websockets.frames import Frame, Opcode

from edge.clients.websocket import WebSocket
from edge.wire.events import Message, TooBig
from edge.wire.frames import text_frame
from tests.edge.kit.edge import Edge, serving
from tests.strict import Handshake

MANY: Final = text_frame(b"x" * 60_000) * 10
"""More than a socket takes whose buffers are as small as they get."""
_SMALL_BYTES: Final = 4096


def masked(opcode: Opcode, payload: bytes = b"") -> bytes:
    """Make a frame as a client sends it."""
    return Frame(opcode, payload).serialize(mask=True)


class Peer:
    """A client's socket: it reads when told."""

    def __init__(self, plain: socket.socket) -> None:
        self._socket = plain
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        await self._loop.sock_sendall(self._socket, data)

    async def read(self, size: int) -> bytes:
        """Read exactly ``size`` bytes."""
        data = b""
        while len(data) < size:
            piece = await self._loop.sock_recv(self._socket, size - len(data))
            assert piece
            data += piece
        return data

    async def read_head(self) -> bytes:
        """Read up to an empty line."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await self.read(1)
        return head

    async def read_all(self) -> bytes:
        """Read until the server has ended what it sends; a reset is an error."""
        data = b""
        while piece := await self._loop.sock_recv(self._socket, 1 << 16):
            data += piece
        return data

    def end(self) -> None:
        """Send nothing more, and take what comes."""
        self._socket.shutdown(socket.SHUT_WR)

    def leave(self) -> None:
        """Close the socket."""
        if self._socket.fileno() >= 0:
            os.close(self._socket.detach())

    def reset(self) -> None:
        """Close it in the rude way."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.leave()


class Recorded(WebSocket):
    """A connection that keeps what its client says, and has a small buffer."""

    last: "Recorded"

    def __init__(self, around: Any, transport: asyncio.Transport, reader: Any, **told: Any) -> None:
        super().__init__(around, transport, reader, **told)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL_BYTES)
        self.transport = transport
        self.received: list[Message | TooBig] = []
        self.is_held = asyncio.Event()
        self.is_drained = asyncio.Event()
        self.is_lost = asyncio.Event()
        type(self).last = self

    def pause_writing(self) -> None:
        """Note it."""
        super().pause_writing()
        self.is_held.set()

    def resume_writing(self) -> None:
        """Note it, unless a pong is held instead, or nothing more is sent."""
        super().resume_writing()
        if not self._has_closed and not self.transport.get_write_buffer_size():
            self.is_drained.set()

    def message(self, said: Message | TooBig) -> None:
        """Keep it."""
        self.received.append(said)
        super().message(said)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it."""
        super().connection_lost(exc)
        self.is_lost.set()


@asynccontextmanager
async def connecting(edge: Edge) -> AsyncIterator[Peer]:
    """Connect a peer with a small buffer, which has sent nothing yet."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BYTES)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", edge.port))
    peer = Peer(plain)
    try:
        yield peer
    finally:
        peer.leave()


@asynccontextmanager
async def paired(edge: Edge, *, query: str = "", compressed: bool = False) -> AsyncIterator[tuple[Recorded, Peer]]:
    """Connect a peer, and open its WebSocket."""
    edge.websockets.websocket = Recorded
    async with connecting(edge) as peer:
        handshake = Handshake(compressed=compressed)
        await peer.send(handshake.request.replace(b"GET / ", f"GET /{query} ".encode(), 1))
        handshake.accept(await peer.read_head())
        made = Recorded.last
        yield made, peer
        peer.leave()
        await made.is_lost.wait()


@asynccontextmanager
async def pair(*, compressed: bool = False) -> AsyncIterator[tuple[Recorded, Peer, Edge]]:
    """Serve meanwhile, to one peer."""
    async with serving() as edge, paired(edge, compressed=compressed) as (made, peer):
        yield made, peer, edge
