"""The limits on a real socket, with aiohttp behind them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from aiohttp import web

from edge.access import entrance
from edge.access.entrance import Entrance, Gate
from tests.edge.kit.listening import RULES, gate, listening

SLOW = b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"
REQUEST = b"GET /text HTTP/1.1\r\nHost: localhost\r\n\r\n"
LONG = b"GET /text HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200 + b"\r\n\r\n"
IMPATIENT = replace(RULES, handshake_seconds=0.25)
PATIENT = replace(RULES, handshake_seconds=2)
"""For tests in which something is in time, on a busy machine too."""


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
        self.hold = asyncio.Event()
        self.hold.set()
        self.asked = asyncio.Event()

    async def text(self, _request: web.Request) -> web.Response:
        """Answer."""
        return web.Response(text="text")

    async def slow(self, _request: web.Request) -> web.Response:
        """Answer when told."""
        self.asked.set()
        await self.hold.wait()
        return web.Response(text="text")

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
    application.router.add_get("/slow", serving.slow)
    application.router.add_get("/text", serving.text)
    async with listening(application, serving.gate) as serving.port, asyncio.timeout(10):
        yield serving
        while serving.gate.census.connections:
            await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody here needs a second to read a reason."""
    monkeypatch.setattr(entrance, "LINGER_SECONDS", 0.05)


async def test_a_request_that_is_not_finished_in_time_is_refused() -> None:
    """A byte now and then keeps nothing alive: the time counts from the connection on."""
    async with site(gate(IMPATIENT)) as serving, serving.peer() as peer:
        dripping = asyncio.create_task(drip(peer, LONG))
        head = await peer.head()
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"\r\nCache-Control: no-store\r\n" in head
        assert await peer.rest() == b"The request was not finished in time.\n"
        await dripping
        assert serving.gate.limited == {"handshake": 1}


@pytest.mark.parametrize("behind", [LONG, REQUEST[:5]], ids=["431", "408"])
async def test_nothing_follows_the_answer_to_a_breach(behind: bytes) -> None:
    """Neither the answer to a request before it, which is answered so too, nor anything later."""
    async with site(gate(replace(PATIENT, head_bytes=100))) as serving, serving.peer() as peer:
        serving.hold.clear()
        await peer.send(SLOW)
        await serving.asked.wait()
        await peer.send(behind)
        head = await peer.head()
        serving.hold.set()
        assert (head + await peer.rest()).count(b"HTTP/1.1 ") == 1
        assert serving.gate.limited == {"head" if behind is LONG else "handshake": 1}


async def test_a_reader_that_takes_nothing_of_answers_is_cut() -> None:
    """Each is small: the kernel takes many before the connection holds anything."""
    async with site(gate(replace(RULES, stalled_seconds=0.1))) as serving:
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", serving.port))
            with suppress(ConnectionError):
                while not serving.gate.limited:
                    await asyncio.wait([asyncio.create_task(loop.sock_sendall(client, 100 * REQUEST))], timeout=0.05)
        assert serving.gate.limited == {"stalled": 1}


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


async def test_an_empty_line_is_no_request() -> None:
    """The time for one goes on."""
    async with site(gate(IMPATIENT)) as serving, serving.peer() as peer:
        await peer.send(b"\r\n")
        assert await peer.rest() == b""
        assert serving.gate.limited == {"handshake": 1}


async def test_the_next_request_of_a_connection_is_waited_for_but_must_not_be_slow() -> None:
    """Idle connections are kept, for proxies; the time for a head counts from its first byte."""
    async with site(gate(PATIENT)) as serving, serving.peer() as peer:
        for _ in range(2):
            await peer.send(REQUEST)
            assert (await peer.head()).startswith(b"HTTP/1.1 200 ")
            assert await peer.reader.readexactly(4) == b"text"
            await asyncio.sleep(0.1)
        await peer.send(REQUEST[:5])
        assert (await peer.head()).startswith(b"HTTP/1.1 408 ")
        assert await peer.rest() == b"The request was not finished in time.\n"


async def test_who_waits_for_the_answer_is_not_late() -> None:
    """The time is the client's; how long the server takes is limited elsewhere."""
    async with site(gate(IMPATIENT)) as serving, serving.peer() as peer:
        serving.hold.clear()
        await peer.send(SLOW)
        await serving.asked.wait()
        await asyncio.sleep(0.1)
        serving.hold.set()
        assert (await peer.head()).startswith(b"HTTP/1.1 200 ")
        assert serving.gate.limited == {}


async def test_a_connection_above_the_limit_is_closed_after_the_handshakes_time() -> None:
    """Although it asks for one thing after the other: it holds a place that others need."""
    async with site(gate(PATIENT, total=1)) as serving, serving.peer() as first, serving.peer() as second:
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
        head, body = await peer.head(), await peer.rest()
        assert head.startswith(b"HTTP/1.1 431 ")
        assert b"\r\nCache-Control: no-store\r\n" in head
        assert body == b"The request's head is larger than it may be.\n"
        assert b"\r\nContent-Length: %d\r\n" % len(body) in head
        assert serving.gate.limited == {"head": 1}


class Wire(asyncio.Transport):
    """A transport that keeps what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.pauses = 0
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written += data

    def pause_reading(self) -> None:
        """Count it."""
        self.pauses += 1

    def abort(self) -> None:
        """Note it: there is nothing to leave open."""
        self.is_aborted = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Hold nothing, so that it would be said at once if anything were held."""
        assert (high, low) == (0, None)


class Inner(asyncio.Protocol):
    """Keeps what comes through."""

    def __init__(self) -> None:
        self.received = b""
        self.is_gone = False

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.received += data

    def let_go(self) -> None:
        """Note it."""
        self.is_gone = True


async def test_nothing_comes_through_after_a_breach() -> None:
    """Not even when aiohttp wants more: it resumes what was paused. One answer is enough."""
    serving, wire, inner = gate(replace(RULES, head_bytes=100)), Wire(), Inner()
    made = serving.admit("192.0.2.1", lambda: inner)
    assert made is not None
    made.connection_made(wire)
    made.data_received(REQUEST)
    for _ in range(3):
        made.data_received(LONG)
    made.data_received(REQUEST)
    made.connection_lost(None)
    assert inner.received == REQUEST
    assert wire.written.count(b"HTTP/1.1 431") == 1
    assert inner.is_gone
    assert serving.limited == {"head": 1}
    # As often as something came: aiohttp may resume each time.
    assert wire.pauses == 4


@pytest.mark.parametrize("behind", [LONG, REQUEST[:5]], ids=["head", "handshake"])
async def test_a_breach_while_an_answer_is_under_way_is_not_answered(behind: bytes) -> None:
    """What is written would be taken for a part of that answer. When the client leaves, that is said, once."""
    serving, wire, inner = gate(replace(RULES, head_bytes=100, handshake_seconds=0)), Wire(), Inner()
    made = serving.admit("192.0.2.1", lambda: inner)
    assert made is not None
    lost: list[str] = []
    made.connection_made(wire)
    made.data_received(REQUEST)
    with made.answering(lambda: lost.append("lost")):
        made.data_received(behind)
        while not made.has_refused:
            await asyncio.sleep(0)
        assert (wire.written, lost) == (b"", [])
        made.connection_lost(None)
    made.connection_lost(None)
    assert (lost, serving.answers.counts) == (["lost"], {})
    assert serving.limited == {"head" if behind is LONG else "handshake": 1}
    assert not inner.is_gone


async def test_who_takes_nothing_of_an_answer_is_cut() -> None:
    """However small it is; not who takes it in time, and not by this module where another one looks after it."""
    serving = gate(replace(RULES, stalled_seconds=0))
    wires, made = [Wire() for _ in range(4)], list[Entrance]()
    for wire in wires:
        entrance_of = serving.admit("192.0.2.1", Inner)
        assert entrance_of is not None
        entrance_of.connection_made(wire)
        made.append(entrance_of)
    stalls, takes, answered, leaves = made
    takes.pause_writing()
    takes.resume_writing()
    leaves.pause_writing()
    leaves.connection_lost(None)
    with answered.answering(lambda: None):
        answered.pause_writing()
        stalls.pause_writing()
        while not wires[0].is_aborted:
            await asyncio.sleep(0)
        answered.resume_writing()
    assert [wire.is_aborted for wire in wires] == [True, False, False, False]
    assert (serving.limited, len(serving.unsent)) == ({"stalled": 1}, 0)
    for each in (stalls, takes, answered):
        each.connection_lost(None)
