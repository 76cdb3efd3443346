"""The limits on a real socket, with aiohttp behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from aiohttp import WSMessage, web
from websockets.frames import Frame, Opcode

from edge.access import entrance
from edge.access.entrance import Entrance, Gate
from edge.wire.allowance import BYTES, EARLY, FRAGMENTS, MESSAGES, PINGS, SIZE, Breach
from edge.wire.closing import Disconnect
from edge.wire.frames import close_frame
from tests.edge.kit.listening import RULES, gate, listening
from tests.edge.kit.records import frames

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
REQUEST = b"GET /text HTTP/1.1\r\nHost: localhost\r\n\r\n"
IMPATIENT = replace(RULES, handshake_seconds=0.05)


class Peer:
    """A client that sends whatever a test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes; that nobody takes them any more is no error."""
        self.writer.write(data)
        with suppress(ConnectionError):
            await self.writer.drain()

    async def head(self) -> bytes:
        """Read the head of an answer."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """Read until the end, whichever end it is."""
        data = b""
        try:
            while piece := await self.reader.read(1 << 16):
                data += piece
        except ConnectionResetError:
            pass
        return data


class Site:
    """A server, and what came through to its handler."""

    def __init__(self, through: Gate) -> None:
        self.gate = through
        self.port = 0
        self.received: list[WSMessage] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.asked = asyncio.Event()
        self.ended = asyncio.Event()

    async def text(self, _request: web.Request) -> web.Response:
        """Answer."""
        return web.Response(text="text")

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Attend a client as the server does."""
        self.asked.set()
        await self.hold.wait()
        websocket = web.WebSocketResponse(compress=False)
        await websocket.prepare(request)
        transport = request.transport
        assert transport is not None
        protocol = transport.get_protocol()
        assert isinstance(protocol, Entrance)
        protocol.upgrade(lambda disconnect: transport.write(close_frame(disconnect.code, disconnect.reason)))
        async for message in websocket:
            self.received.append(message)
        self.ended.set()
        return websocket

    @asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        """Connect."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Peer(reader, writer)
        finally:
            writer.close()


@asynccontextmanager
async def site(through: Gate | None = None) -> AsyncIterator[Site]:
    """Serve meanwhile; afterwards no connection is counted any more."""
    serving = Site(through or gate())
    application = web.Application()
    application.router.add_get("/", serving.websocket)
    application.router.add_get("/text", serving.text)
    async with listening(application, serving.gate) as serving.port, asyncio.timeout(10):
        yield serving
        while serving.gate.census.connections:
            await asyncio.sleep(0)


def masked(opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """Make a frame as a client sends it."""
    return Frame(opcode, payload, fin=fin).serialize(mask=True)


@pytest.fixture(autouse=True)
def linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody here needs a second to read a reason."""
    monkeypatch.setattr(entrance, "LINGER_SECONDS", 0.05)


async def test_a_request_that_is_not_finished_in_time_is_refused() -> None:
    """A byte now and then keeps nothing alive: the time counts from the connection on."""
    async with site(gate(IMPATIENT)) as serving, serving.peer() as peer:
        dripping = asyncio.create_task(drip(peer, UPGRADE))
        assert (await peer.head()).startswith(b"HTTP/1.1 408 ")
        assert await peer.rest() == b""
        await dripping
        assert serving.gate.limited == {"handshake": 1}


async def drip(peer: Peer, data: bytes) -> None:
    """Send a byte at a time, slowly enough that the whole takes several times as long as it may."""
    for at in range(len(data)):
        if peer.reader.at_eof():
            return
        await peer.send(data[at : at + 1])
        await asyncio.sleep(0.002)


async def test_a_connection_on_which_nothing_comes_is_closed_without_a_word() -> None:
    """A browser connects before it knows what to ask for, and takes an answer then for one to its next request."""
    async with site(gate(IMPATIENT)) as serving, serving.peer() as peer:
        assert await peer.rest() == b""
        assert serving.gate.limited == {"handshake": 1}


async def test_the_next_request_of_a_connection_is_waited_for_but_must_not_be_slow() -> None:
    """Idle connections are kept, for proxies; the time for a head counts from its first byte."""
    async with site(gate(IMPATIENT)) as serving, serving.peer() as peer:
        for _ in range(2):
            await peer.send(REQUEST)
            assert (await peer.head()).startswith(b"HTTP/1.1 200 ")
            assert await peer.reader.readexactly(4) == b"text"
            await asyncio.sleep(0.1)
        await peer.send(REQUEST[:5])
        assert (await peer.head()).startswith(b"HTTP/1.1 408 ")
        assert await peer.rest() == b""


async def test_who_waits_for_the_answer_is_not_late() -> None:
    """The handshake's time is the client's; how long the server takes is limited elsewhere."""
    async with site(gate(IMPATIENT)) as serving, serving.peer() as peer:
        serving.hold.clear()
        await peer.send(UPGRADE)
        await serving.asked.wait()
        await asyncio.sleep(0.1)
        serving.hold.set()
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        # And a WebSocket has all the time in the world.
        await asyncio.sleep(0.1)
        await peer.send(masked(Opcode.TEXT, b"hello"))
        while not serving.received:
            await asyncio.sleep(0)
        assert serving.gate.limited == {}


async def test_a_connection_above_the_limit_is_closed_after_the_handshakes_time() -> None:
    """Although it asks for one thing after the other: it holds a place that others need."""
    async with site(gate(IMPATIENT, total=1)) as serving, serving.peer() as first, serving.peer() as second:
        for peer in (first, second):
            await peer.send(REQUEST)
            assert (await peer.head()).startswith(b"HTTP/1.1 200 ")
            assert await peer.reader.readexactly(4) == b"text"
        assert await second.rest() == b""
        await first.send(REQUEST)
        assert (await first.head()).startswith(b"HTTP/1.1 200 ")


async def test_a_head_that_is_too_large_is_refused() -> None:
    """In many small lines, each of which aiohttp would take."""
    async with site(gate(replace(RULES, head_bytes=1000))) as serving, serving.peer() as peer:
        await peer.send(REQUEST[:-2] + b"".join(b"x%d: %s\r\n" % (number, b"y" * 90) for number in range(12)))
        assert (await peer.head()).startswith(b"HTTP/1.1 431 ")
        assert await peer.rest() == b""
        assert serving.gate.limited == {"head": 1}


TEN = b"0123456789"


@pytest.mark.parametrize(
    ("flood", "breach", "received"),
    [
        (masked(Opcode.TEXT) * 101, MESSAGES, 100),
        (masked(Opcode.BINARY, bytes(65_000)) * 11, BYTES, 10),
        (masked(Opcode.TEXT, TEN) + masked(Opcode.PING) * 101, PINGS, 1),
        (masked(Opcode.TEXT, bytes(65_537)), SIZE, 0),
        (masked(Opcode.TEXT, fin=False) + masked(Opcode.CONT, b"x", fin=False) * 1_000_000, FRAGMENTS, 0),
    ],
    ids=["messages", "bytes", "pings", "size", "fragments"],
)
async def test_a_flood_ends_with_its_reason(flood: bytes, breach: Breach, received: int) -> None:
    """What came before the breach may have been handled, and nothing after it."""
    async with site() as serving, serving.peer() as peer:
        await peer.send(UPGRADE)
        await peer.head()
        sending = asyncio.create_task(peer.send(flood))
        data = await peer.rest()
        await sending
        await serving.ended.wait()
        pongs = [frame for frame in frames(data) if frame.opcode is Opcode.PONG]
        assert [frame.data for frame in frames(data) if frame.opcode is Opcode.CLOSE] == [closing(breach.disconnect)]
        assert len(serving.received) <= received
        assert len(pongs) <= 100
        assert serving.gate.limited == {breach.limit: 1}


def closing(disconnect: Disconnect) -> bytes:
    """Return the payload of its close frame."""
    return disconnect.code.to_bytes(2) + disconnect.reason.encode()


async def test_what_comes_slowly_enough_may_come_for_ever() -> None:
    """Fragments of one byte, and pings between them."""
    async with site() as serving, serving.peer() as peer:
        await peer.send(UPGRADE)
        await peer.head()
        message = masked(Opcode.TEXT, b"a", fin=False) + masked(Opcode.PING) + masked(Opcode.CONT, b"b")
        for at in range(0, len(message * 90), 7):
            await peer.send((message * 90)[at : at + 7])
        while len(serving.received) < 90:
            await asyncio.sleep(0)
        assert {message.data for message in serving.received} == {"ab"}
        assert len(frames(await peer.reader.readexactly(2 * 90))) == 90
        assert serving.gate.limited == {}


@pytest.mark.parametrize("early", [b"\x89", masked(Opcode.TEXT, b"x") * 100_000])
async def test_nothing_may_be_sent_before_the_answer(early: bytes) -> None:
    """RFC 6455 §4.1; else frames would have come in that nobody has counted."""
    async with site() as serving, serving.peer() as peer:
        serving.hold.clear()
        sending = asyncio.create_task(peer.send(UPGRADE + early[:16_000]))
        await serving.asked.wait()
        serving.hold.set()
        await peer.head()
        [close] = frames(await peer.rest())
        await sending
        assert (close.opcode, close.data) == (Opcode.CLOSE, closing(EARLY.disconnect))
        assert serving.gate.limited == {"early": 1}


async def test_the_end_comes_although_the_client_reads_nothing() -> None:
    """Its connection is cut when it has had time, whatever is still unsent."""
    async with site() as serving, serving.peer() as peer:
        await peer.send(UPGRADE)
        await peer.head()
        await peer.send(masked(Opcode.PING) * 101)
        await serving.ended.wait()
