"""What is relied upon of aiohttp and asyncio, on a real socket: these fail when either changes it."""

import asyncio
import gc
import os
import socket
import sys
import tracemalloc
import zlib
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
from aiohttp import WSMessage, WSMsgType, web
from aiohttp.http_parser import HttpRequestParser
from websockets.frames import Frame, Opcode

from edge.access.entrance import Entrance
from edge.clients import connection
from edge.clients.connection import Connection, WebSocket, write_each
from edge.fanout.session import FELL_BEHIND, SHUTDOWN
from edge.wire.allowance import Traffic
from edge.wire.deflate import deflated
from edge.wire.frames import close_frame, text_frame
from tests.edge.kit.listening import RULES, gate, listening
from tests.edge.kit.records import frames
from tests.strict import Handshake

LONGEST = 1 << 16
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

    async def shake_hands(self, *, compressed: bool) -> None:
        """Open the WebSocket, and offer compression or not."""
        handshake = Handshake(compressed=compressed)
        await self.send(handshake.request)
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += await self._loop.sock_recv(self._socket, 1)
        handshake.accept(self.head)

    async def read_all(self) -> bytes:
        """Read until the end of the connection, whichever end it is."""
        data = b""
        try:
            while piece := await self._loop.sock_recv(self._socket, 1 << 16):
                data += piece
        except ConnectionResetError:
            pass
        return data


# What aiohttp refuses by itself is to be seen here.
NO_LIMITS = replace(RULES, traffic=Traffic(*[1 << 30] * 5))


class Pair:
    """Both ends, and what the server's handler saw."""

    def __init__(self, extension: str | None) -> None:
        self._extension = extension
        self.websocket: WebSocket | None = None
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
        websocket = WebSocket(extension=self._extension, longest=LONGEST, timeout=5, protocols=())
        await websocket.prepare(request)
        self.websocket = websocket
        assert request.transport is not None
        entrance = request.transport.get_protocol()
        assert isinstance(entrance, Entrance)
        entrance.upgrade(lambda _: None)
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        made = Connection(websocket, request.transport)
        made.tell(self)
        self.connection.set_result(made)
        async for message in websocket:
            if message.type is WSMsgType.PING:
                await websocket.pong(message.data)
            else:
                self.received.append(message)
        self.ended.set()
        return websocket


@asynccontextmanager
async def pair(extension: str | None = None) -> AsyncIterator[tuple[Connection, Peer, Pair]]:
    """Connect a peer with small buffers; ``extension`` is what was agreed with it."""
    both = Pair(extension)
    application = web.Application()
    application.router.add_get("/", both.handle)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.setblocking(False)
    async with listening(application, gate(NO_LIMITS)) as port, asyncio.timeout(5):
        try:
            await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
            peer = Peer(plain)
            await peer.shake_hands(compressed=extension is not None)
            yield await both.connection, peer, both
        finally:
            plain.close()
            await both.ended.wait()


def masked(opcode: Opcode, payload: bytes = b"") -> bytes:
    """Make a frame as a client sends it."""
    return Frame(opcode, payload).serialize(mask=True)


def _spare() -> Counter[type]:
    """Count what aiohttp makes for each connection: two queues, and what parsing, masking and compressing need."""
    made = Counter(type(each) for each in gc.get_objects())
    return Counter({kind: made[kind] for kind in (HttpRequestParser, deque, partial, asyncio.Lock, set)})


def _of_the_test(both: Pair) -> Counter[type]:
    """Count what is no connection's: a queue for each event; a set in the listener, and one in the route."""
    return Counter({deque: sum(isinstance(each, asyncio.Event) for each in vars(both).values()), set: 2})


@pytest.mark.parametrize("extension", [None, "permessage-deflate; client_no_context_takeover"])
async def test_nothing_that_is_not_needed_is_kept(extension: str | None) -> None:
    """What is for HTTP or for compressing takes more memory than all that we keep; it goes on, and ends, without."""
    async with pair(extension):
        # Made once, with the first.
        pass
    gc.collect()
    earlier = _spare()
    async with pair(extension) as (_, peer, both):
        gc.collect()
        # What the client sends waits in one; from Python 3.12 on, the transport's buffer is one, too.
        needed = Counter({deque: 1 if sys.version_info < (3, 12) else 2})
        assert _spare() - earlier == needed + _of_the_test(both)
        assert both.websocket is not None
        assert not both.websocket.headers
        await peer.send(masked(Opcode.TEXT, b"heard") + masked(Opcode.CLOSE, b"\x03\xe8"))
        await both.ended.wait()
        assert [message.data for message in both.received] == ["heard"]
        assert both.websocket.close_code == 1000


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


async def test_several_are_written_to_at_once_and_what_one_cannot_take_is_left() -> None:
    """Who takes it all is not named; the rest goes out by the transport, which says so, and no frame is cut."""
    async with pair() as (one, its_peer, its_both), pair() as (other, other_peer, other_both):
        assert write_each([one.key, other.key], text_frame(b"small")) == []
        await other_peer.read(7)
        sent = 1
        while not (short := write_each([one.key, other.key], MANY)):
            await other_peer.read(len(MANY))
            sent += 1
        assert {key for key, _ in short} == {one.key, other.key}
        for key, rest in short:
            assert MANY.endswith(rest)
            {one.key: one, other.key: other}[key].write(rest)
        assert its_both.is_held.is_set()
        assert other_both.is_held.is_set()
        data = await its_peer.read(len(MANY) * sent + 7)
        assert data == text_frame(b"small") + MANY * sent
        assert await other_peer.read(len(MANY)) == MANY
        await asyncio.gather(its_both.is_drained.wait(), other_both.is_drained.wait())


async def test_who_has_gone_does_not_keep_the_others_from_it() -> None:
    """Until the transport has found out, its socket is written to like the others."""
    async with pair() as (gone, its_peer, both), pair() as (here, peer, _):
        os.close(its_peer._socket.detach())  # noqa: SLF001 - the test's own
        short: list[tuple[int, bytes]] = []
        while not short:
            short = write_each([here.key, gone.key, here.key], text_frame(b"small"))
            assert await peer.read(14) == text_frame(b"small") * 2
        assert short == [(gone.key, text_frame(b"small"))]
        gone.write(short[0][1])
        await both.ended.wait()


async def test_a_pong_never_stands_within_a_frame() -> None:
    """The handler answers pings by itself, through the same transport: after what was begun."""
    async with pair() as (made, peer, _):
        made.write(MANY)
        await peer.send(masked(Opcode.PING, b"?"))
        data = await peer.read(len(MANY) + 3)
        assert [frame.opcode for frame in frames(data)] == [Opcode.TEXT] * 10 + [Opcode.PONG]


async def test_whatever_a_peer_sends_is_a_sign_of_life() -> None:
    """Also a pong; all that it sends goes on to aiohttp."""
    async with pair() as (made, peer, both):
        for sent in (masked(Opcode.PONG), masked(Opcode.TEXT, b"hello")):
            made.heard = 0.0
            await peer.send(sent)
            while not made.heard:
                await asyncio.sleep(0)
        assert made.heard == pytest.approx(asyncio.get_running_loop().time(), abs=5)
        assert await received(both, 2) == [b"", "hello"]


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


# What was agreed about compression.

AGREED = "permessage-deflate; client_no_context_takeover"
WHOLE, BEGIN, MIDDLE, END = 0xC1, 0x41, 0x00, 0x80


def compressed(message: bytes) -> bytes:
    """Compress a message as a client does that keeps no context."""
    (payload,) = deflated([message])
    return payload


def frame(first: int, payload: bytes) -> bytes:
    """Make a frame that begins with this byte, masked with zeros: the payload stays what it is."""
    length = len(payload)
    assert length < 1 << 16
    head = bytes([first, 0x80 | length]) if length < 126 else bytes([first, 0xFE, *length.to_bytes(2)])
    return head + bytes(4) + payload


def split(payload: bytes) -> tuple[bytes, bytes, bytes]:
    """Cut a payload in three."""
    third = len(payload) // 3
    return payload[:third], payload[third : 2 * third], payload[2 * third :]


async def received(both: Pair, number: int) -> list[object]:
    """Wait for some messages."""
    while len(both.received) < number:
        await asyncio.sleep(0)
    return [message.data for message in both.received]


async def closed_with(peer: Peer, *sent: bytes) -> int:
    """Send, and be closed with a code."""
    for data in sent:
        await peer.send(data)
    (close,) = frames(await peer.read_all())
    assert close.opcode is Opcode.CLOSE
    return int.from_bytes(close.data[:2])


async def test_what_is_compressed_is_inflated() -> None:
    """Whole and in fragments, with a ping among them, and plain messages in between."""
    one, two, three = split(compressed(b"in fragments " * 9))
    async with pair(AGREED) as (_, peer, both):
        assert f"Sec-WebSocket-Extensions: {AGREED}\r\n".encode() in peer.head
        await peer.send(frame(WHOLE, compressed(b"whole")) + masked(Opcode.TEXT, b"plain"))
        await peer.send(frame(BEGIN, one) + frame(MIDDLE, two) + masked(Opcode.PING) + frame(END, three))
        await peer.send(frame(0xC2, compressed(b"bytes")) + frame(WHOLE, compressed(b"")))
        assert await received(both, 5) == ["whole", "plain", "in fragments " * 9, b"bytes", ""]
        assert [one.opcode for one in frames(await peer.read(2))] == [Opcode.PONG]


async def test_aiohttp_compresses_nothing() -> None:
    """It would write into a context that is not its own: also what its own methods send goes as it is."""
    async with pair(AGREED) as (made, peer, both):
        assert both.websocket is not None
        await both.websocket.send_str("x" * 100)
        made.close(SHUTDOWN)
        await peer.send(masked(Opcode.CLOSE))
        assert [one.opcode for one in frames(await peer.read_all())] == [Opcode.TEXT, Opcode.CLOSE]


@pytest.mark.parametrize("extension", [None, AGREED])
async def test_a_message_may_have_just_the_longest_size(extension: str | None) -> None:
    """Compressed or not, one byte more is 1009."""
    longest = b"x" * LONGEST
    async with pair(extension) as (_, peer, both):
        await peer.send(masked(Opcode.TEXT, longest) + (frame(WHOLE, compressed(longest)) if extension else b""))
        assert await received(both, 1 + bool(extension)) == ["x" * LONGEST] * (1 + bool(extension))
        assert await closed_with(peer, masked(Opcode.TEXT, longest + b"x")) == 1009


async def test_a_message_that_inflates_to_more_is_1009() -> None:
    """By one byte as by a thousand times the limit."""
    bomb = zlib.compress(bytes(1 << 26), 9, wbits=-15)
    assert len(bomb) < LONGEST
    for payload in (compressed(b"x" * (LONGEST + 1)), bomb):
        async with pair(AGREED) as (_, peer, _):
            assert await closed_with(peer, frame(WHOLE, payload)) == 1009


async def test_a_compressed_message_is_not_gathered_beyond_the_limit() -> None:
    """Its fragments count before anything is inflated."""
    async with pair(AGREED) as (_, peer, _):
        assert await closed_with(peer, frame(BEGIN, bytes(40_000)), frame(MIDDLE, bytes(40_000))) == 1009


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param([frame(WHOLE, b"\xff\xff")], 1002, id="what cannot be inflated"),
        pytest.param([frame(WHOLE, compressed(b"\xff"))], 1007, id="what is not UTF-8 once inflated"),
        pytest.param([frame(0xC0, b"")], 1002, id="the rest of a message that was not begun"),
        pytest.param([frame(BEGIN, b""), frame(0xC0, b"")], 1002, id="the mark on a later fragment"),
        pytest.param([frame(BEGIN, b""), frame(WHOLE, b"")], 1002, id="a message in the middle of one"),
        pytest.param([frame(BEGIN, b""), frame(0x81, b"")], 1002, id="a plain message in the middle of one"),
        pytest.param([frame(0x01, b"a"), frame(WHOLE, b"")], 1002, id="one in the middle of a plain message"),
        pytest.param([frame(0xA1, b"")], 1002, id="RSV2"),
    ],
)
async def test_what_breaks_a_rule_of_compression_ends_the_connection(sent: list[bytes], code: int) -> None:
    """RFC 7692 §6 and §7.2.2, RFC 6455 §5.4 and §8.1."""
    async with pair(AGREED) as (_, peer, _):
        assert await closed_with(peer, *sent) == code


async def test_who_has_not_agreed_may_not_compress() -> None:
    """RFC 6455 §5.2: a reserved bit that nobody has given a meaning."""
    async with pair() as (_, peer, _):
        assert b"Extensions" not in peer.head
        assert await closed_with(peer, frame(WHOLE, compressed(b"x"))) == 1002


async def test_nothing_is_kept_for_compression_between_messages() -> None:
    """Neither before the first one nor after the last: zlib's context takes 40 KiB."""
    async with pair(AGREED) as (_, peer, both):
        await peer.send(frame(WHOLE, compressed(b"begin")))
        await received(both, 1)
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(100):
                await peer.send(frame(WHOLE, compressed(b"hello" * 1000)))
            await received(both, 101)
            both.received.clear()
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] < 20_000
        finally:
            tracemalloc.stop()


async def test_who_is_parted_from_has_time_to_read_why() -> None:
    """The close comes after what was begun, and nothing after it; the connection stays for somebody else to cut."""
    async with pair() as (made, peer, both):
        made.write(text_frame(b"last"))
        made.part(SHUTDOWN)
        made.close(FELL_BEHIND)
        made.part(FELL_BEHIND)
        size = len(text_frame(b"last")) + len(close_frame(SHUTDOWN.code, SHUTDOWN.reason))
        received = frames(await peer.read(size))
        assert [frame.opcode for frame in received] == [Opcode.TEXT, Opcode.CLOSE]
        assert received[-1].data == (1001).to_bytes(2) + SHUTDOWN.reason.encode()
        assert not both.ended.is_set()
        made.abort()
        assert await peer.read_all() == b""


async def test_nothing_follows_a_close_whoever_sends_it() -> None:
    """RFC 6455 §5.5.1: aiohttp closes on a client that breaks the rules, and whoever sends is told to hold."""
    async with pair() as (made, peer, both):
        await peer.send(frame(0xF1, b""))
        await both.is_held.wait()
        made.write(text_frame(b"too late"))
        (close,) = frames(await peer.read_all())
        assert (close.opcode, close.data[:2]) == (Opcode.CLOSE, (1002).to_bytes(2))


async def test_nothing_follows_a_close_from_the_moment_on_at_which_it_is_sent() -> None:
    """The socket is open still, for a few turns of the loop."""
    async with pair() as (made, peer, both):
        assert both.websocket is not None
        closing = asyncio.create_task(both.websocket.close(code=1001))
        await asyncio.sleep(0)
        assert both.is_held.is_set()
        made.write(text_frame(b"too late"))
        made.ping()
        made.part(SHUTDOWN)
        (close,) = frames(await peer.read_all())
        assert close.data[:2] == (1001).to_bytes(2)
        await closing


async def test_who_sends_is_not_told_to_go_on_after_a_close() -> None:
    """What was begun goes out, the close behind it, and then there is nothing more to be sent."""
    async with pair() as (made, peer, both):
        made.write(MANY)
        made.part(SHUTDOWN)
        await peer.read(len(MANY) + len(close_frame(SHUTDOWN.code, SHUTDOWN.reason)))
        while made.unsent_since is not None:
            await asyncio.sleep(0)
        assert not both.is_drained.is_set()
        made.abort()
