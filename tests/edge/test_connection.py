"""What is relied upon of aiohttp and asyncio, on a real socket: these fail when either changes it."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import WSMessage, web
from websockets.frames import Frame, Opcode

from edge import connection
from edge.connection import Connection
from edge.frames import text_frame
from edge.session import FELL_BEHIND, SHUTDOWN
from tests.edge.feed import frames
from tests.edge.listening import listening
from tests.strict import Handshake

# More than a socket takes whose buffers are as small as they get.
MANY = text_frame(b"x" * 60_000) * 10


class Peer:
    """A client's socket without a client behind it: it reads when told."""

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

    async def shake_hands(self) -> None:
        """Open the WebSocket."""
        handshake = Handshake()
        await self.send(handshake.request)
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            data += await self._loop.sock_recv(self._socket, 1)
        handshake.accept(data)

    async def read_all(self) -> bytes:
        """Read until the end of the connection, whichever end it is."""
        data = b""
        try:
            while piece := await self._loop.sock_recv(self._socket, 1 << 16):
                data += piece
        except ConnectionResetError:
            pass
        return data


class Pair:
    """Both ends, and what the server's handler saw."""

    def __init__(self) -> None:
        self.connection: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self.is_held = asyncio.Event()
        self.is_drained = asyncio.Event()
        self.ended = asyncio.Event()
        self.received: list[WSMessage] = []

    def held(self) -> None:
        """Note it."""
        self.is_held.set()

    def drained(self) -> None:
        """Note it."""
        self.is_drained.set()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Attend a client as the server does."""
        websocket = web.WebSocketResponse(compress=False)
        await websocket.prepare(request)
        assert request.transport is not None
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        made = Connection(websocket, request.transport)
        made.tell(self)
        self.connection.set_result(made)
        async for message in websocket:
            self.received.append(message)
        self.ended.set()
        return websocket


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Connection, Peer, Pair]]:
    """Connect a peer with small buffers."""
    both = Pair()
    application = web.Application()
    application.router.add_get("/", both.handle)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.setblocking(False)
    async with listening(application) as port, asyncio.timeout(5):
        try:
            await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
            peer = Peer(plain)
            await peer.shake_hands()
            yield await both.connection, peer, both
        finally:
            plain.close()
            await both.ended.wait()


def masked(opcode: Opcode, payload: bytes = b"") -> bytes:
    """Make a frame as a client sends it."""
    return Frame(opcode, payload).serialize(mask=True)


async def test_unsent_bytes_are_known_from_the_first_to_the_last() -> None:
    """With limits of zero the transport says exactly when it holds bytes, and when they are gone."""
    async with pair() as (made, peer, both):
        made.write(text_frame(b"small"))
        assert made.unsent_since is None
        assert not both.is_held.is_set()
        made.write(MANY)
        assert made.unsent_since is not None
        assert both.is_held.is_set()
        assert not both.is_drained.is_set()
        data = await peer.read(len(MANY) + 7)
        assert data == text_frame(b"small") + MANY
        assert [frame.opcode for frame in frames(data)] == [Opcode.TEXT] * 11
        await both.is_drained.wait()
        assert made.unsent_since is None


async def test_a_pong_never_stands_within_a_frame() -> None:
    """The handler answers pings by itself, through the same transport: after what was begun."""
    async with pair() as (made, peer, _):
        made.write(MANY)
        await peer.send(masked(Opcode.PING, b"?"))
        data = await peer.read(len(MANY) + 3)
        assert [frame.opcode for frame in frames(data)] == [Opcode.TEXT] * 10 + [Opcode.PONG]


async def test_whatever_a_peer_sends_is_a_sign_of_life() -> None:
    """Also a pong, which aiohttp keeps to itself; messages go on to aiohttp."""
    async with pair() as (made, peer, both):
        for sent in (masked(Opcode.PONG), masked(Opcode.TEXT, b"hello")):
            made.heard = 0.0
            await peer.send(sent)
            while not made.heard:
                await asyncio.sleep(0)
        assert made.heard == pytest.approx(asyncio.get_running_loop().time(), abs=5)
        while not both.received:
            await asyncio.sleep(0)
        assert [message.data for message in both.received] == ["hello"]


async def test_a_ping_reaches_the_peer() -> None:
    """It asks for a sign of life with the smallest of frames."""
    async with pair() as (made, peer, _):
        made.ping()
        assert [frame.opcode for frame in frames(await peer.read(2))] == [Opcode.PING]


async def test_a_close_comes_after_what_was_begun() -> None:
    """Law 11: the frames that were written, whole, then the code; and the handler ends."""
    async with pair() as (made, peer, both):
        made.write(MANY)
        made.close(FELL_BEHIND)
        made.close(SHUTDOWN)
        received = frames(await peer.read_all())
        await both.ended.wait()
        assert [frame.opcode for frame in received] == [Opcode.TEXT] * 10 + [Opcode.CLOSE]
        assert received[-1].data == (4008).to_bytes(2) + FELL_BEHIND.reason.encode()


async def test_a_close_that_cannot_be_sent_is_an_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law 11: after the time it may take the connection is cut, and nobody waits for it any more."""
    monkeypatch.setattr(connection, "CLOSE_SECONDS", 0.05)
    async with pair() as (made, peer, both):
        made.write(MANY)
        made.close(FELL_BEHIND)
        await both.ended.wait()
        assert len(await peer.read_all()) < len(MANY)


async def test_an_abort_ends_the_handler() -> None:
    """Nothing is left behind of a connection that was cut."""
    async with pair() as (made, _, both):
        made.abort()
        await both.ended.wait()


async def test_a_peer_that_goes_away_ends_the_handler() -> None:
    """The end of the stream is passed on to aiohttp."""
    async with pair() as (_, peer, both):
        os.close(peer._socket.detach())  # noqa: SLF001 - the test's own
        await both.ended.wait()
