"""Bodies go out a piece at a time, and a client that takes nothing is cut."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from edge.clients.post_sending import PRESSED_SECONDS, Sending
from tests.edge.kit.listening import listening

BODY = bytes(range(256)) * (1 << 11)


class Sender:
    """A server that sends one body to all."""

    def __init__(self, stalled_seconds: float, pressed_seconds: float, unsent_bytes: int | None) -> None:
        self.sending = Sending(stalled_seconds, pressed_seconds)
        self.unsent_bytes = unsent_bytes
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self.transport: asyncio.Transport | None = None
        self.held = 0
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(BODY)
        assert request.transport is not None
        transport = request.transport
        self.transport = transport
        if self.unsent_bytes is not None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.unsent_bytes)
        self.begun.set()
        await self.sending.send(request, response, BODY)
        self.ended.set()
        return response

    def look(self) -> None:
        """Note how much the transport holds."""
        assert self.transport is not None
        self.held = max(self.held, self.transport.get_write_buffer_size())


@asynccontextmanager
async def sender(
    stalled_seconds: float = 60, pressed_seconds: float = PRESSED_SECONDS, unsent_bytes: int | None = None
) -> AsyncIterator[Sender]:
    """Serve meanwhile; the kernel keeps ``unsent_bytes`` for a client that does not read, if that is said."""
    made = Sender(stalled_seconds, pressed_seconds, unsent_bytes)
    application = web.Application()
    application.add_routes([web.get("/", made.answer)])
    async with listening(application) as made.port, asyncio.timeout(10):
        yield made


@asynccontextmanager
async def asking(made: Sender) -> AsyncIterator[socket.socket]:
    """Ask through a socket that takes little, and only when it is read."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", made.port))
        await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await made.begun.wait()
        yield client


async def read(client: socket.socket, look: Callable[[], None] = lambda: None) -> bytes:
    """Read all that comes until the answer is whole, or the connection is cut."""
    data = b""
    while len(data.partition(b"\r\n\r\n")[2]) < len(BODY):
        look()
        try:
            piece = await asyncio.get_running_loop().sock_recv(client, 1 << 16)
        except ConnectionResetError:
            break
        if not piece:
            break
        data += piece
    return data.partition(b"\r\n\r\n")[2]


async def test_a_slow_client_gets_all_and_holds_a_piece_at_most() -> None:
    async with sender() as made, asking(made) as client:
        assert await read(client, made.look) == BODY
        await made.ended.wait()
        # The head goes out with the first piece.
        assert 0 < made.held <= (1 << 16) + 1024
        assert (made.sending.bytes, made.sending.stalled) == (len(BODY), 0)


@pytest.mark.parametrize("unsent_bytes", [None, 1 << 12, 1 << 15, 1 << 16, 1 << 17])
async def test_a_client_that_takes_nothing_is_cut(unsent_bytes: int | None) -> None:
    """Whichever piece it does not take."""
    async with sender(stalled_seconds=0.1, unsent_bytes=unsent_bytes) as made, asking(made) as client:
        await made.ended.wait()
        assert made.sending.stalled == 1
        assert len(await read(client)) < len(BODY)


async def test_a_client_that_leaves_ends_its_answer() -> None:
    async with sender() as made:
        async with asking(made):
            pass
        await made.ended.wait()
        assert made.sending.stalled == 0
        made.sending.press()


async def test_under_pressure_a_client_that_takes_long_is_cut() -> None:
    async with sender(pressed_seconds=0) as made, asking(made) as client:
        made.sending.press()
        await made.ended.wait()
        assert made.sending.stalled == 1
        assert len(await read(client)) < len(BODY)


async def test_under_pressure_nobody_is_cut_that_was_sent_something_just_now() -> None:
    async with sender() as made, asking(made) as client:
        made.sending.press()
        assert await read(client) == BODY
        assert made.sending.stalled == 0
