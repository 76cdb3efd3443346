"""What happens to connections on their way: to those of the feed's clients, and to nobody else's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from edge.mock.link import Link, asks_for_feed, linked

FEED = b"GET /posts?offset=now HTTP/1.1\r\nHost: a\r\n\r\n"
PROBE = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
MESSAGE = b"a message that has more than twenty bytes\n"


@dataclass
class Wire:
    """A link to a server that repeats line by line what it is sent, and its connections."""

    link: Link
    port: int
    served: list[asyncio.StreamWriter] = field(default_factory=list)
    clients: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self, request: bytes = FEED) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, and see that what is sent comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.clients.append(writer)
        writer.write(request)
        assert await reader.readexactly(len(request)) == request
        return reader, writer


@asynccontextmanager
async def wired(bytes_per_second: int | None = None) -> AsyncIterator[Wire]:
    """Serve behind a link meanwhile."""
    served: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer)
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with asyncio.timeout(30), linked("127.0.0.1", 0, bytes_per_second) as (link, port):
        link.port = server.sockets[0].getsockname()[1]
        wire = Wire(link, port, served)
        yield wire
        for client in wire.clients:
            client.close()
    server.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return what still comes before the end, however that comes."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    ("data", "is_feed"),
    [
        (FEED, True),
        (b"GET /events HTTP/1.1\r\n\r\n", True),
        (b"HEAD /posts?author=7 HTTP/1.1\r\n\r\n", True),
        (b"GET /?cursor=0 HTTP/1.1\r\nUpgrade: WebSocket\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", False),
        (b"GET /client.js HTTP/1.1\r\n\r\n", False),
        (b"GET /postscript HTTP/1.1\r\n\r\n", False),
        (PROBE, False),
        (b"", False),
    ],
)
def test_who_asks_for_the_feed_is_told_by_the_request(data: bytes, is_feed: bool) -> None:
    """On any transport; a page, a script and a probe do not."""
    assert asks_for_feed(data) is is_feed


async def test_bytes_are_carried_both_ways_to_the_end() -> None:
    """As many as there are; who ends what it sends still gets the answer."""
    async with wired() as wire:
        reader, writer = await wire.connect(PROBE)
        assert not wire.link.asked.is_set()
        data = bytes(range(256)) * 4096
        writer.write(data)
        writer.write_eof()
        assert await reader.read(-1) == data


UPGRADE = b"GET /?history=1 HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 500 + b"\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize("requests", [FEED, UPGRADE, PROBE + FEED])
@pytest.mark.parametrize("bytes_per_second", [None, 1_000_000])
async def test_the_first_client_of_the_feed_is_noted(requests: bytes, bytes_per_second: int | None) -> None:
    """However its request comes in pieces, and whatever was asked for on that connection before."""
    async with wired(bytes_per_second) as wire:
        await wire.connect(requests)
        assert wire.link.asked.is_set()


async def test_what_is_no_request_is_not_kept() -> None:
    """Bytes without an end of a request are carried, and not remembered."""
    async with wired() as wire:
        await wire.connect(bytes(100_000))
        assert not wire.link.asked.is_set()


async def test_cut_connections_end_and_new_ones_are_carried() -> None:
    """Only those of the feed's clients; the server has lost them, too."""
    async with wired() as wire:
        reader, _ = await wire.connect()
        spared, other = await wire.connect(PROBE)
        wire.link.cut()
        assert await rest(reader) == b""
        while not wire.served[0].is_closing():
            await asyncio.sleep(0.001)
        other.write(MESSAGE)
        assert await spared.readline() == MESSAGE
        await wire.connect()


async def test_a_halved_connection_ends_in_the_middle_of_what_comes_next() -> None:
    """What came before is whole; the rest of the message never comes."""
    async with wired() as wire:
        reader, writer = await wire.connect()
        wire.link.halve()
        writer.write(MESSAGE)
        got = await reader.read(-1)
        assert got
        assert len(got) < len(MESSAGE)
        assert MESSAGE.startswith(got)


async def test_a_frozen_connection_carries_nothing_and_stays_open() -> None:
    """Whoever has it cannot tell, but by waiting; new ones are carried. When its client leaves, the server knows."""
    async with wired() as wire:
        reader, writer = await wire.connect()
        wire.link.freeze()
        writer.write(MESSAGE)
        other, again = await wire.connect()
        again.write(MESSAGE)
        assert await other.readline() == MESSAGE
        reading = asyncio.create_task(reader.read(1))
        for _ in range(20):
            again.write(MESSAGE)
            assert await other.readline() == MESSAGE
        assert not reading.done()
        reading.cancel()
        writer.close()
        while not wire.served[0].is_closing():
            await asyncio.sleep(0.001)


async def test_a_slow_link_carries_so_much_a_second_in_small_pieces() -> None:
    """100 KB a second: 20 KB each way take 0.2 s at least, and come in more pieces than one."""
    async with wired(100_000) as wire:
        reader, writer = await wire.connect()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        data = bytes(20_000)
        writer.write(data)
        pieces: list[int] = []
        while sum(pieces) < len(data):
            pieces.append(len(await reader.read(1 << 16)))
        assert loop.time() - begun >= 0.19
        assert len(pieces) > 10


@pytest.mark.parametrize("is_known", [True, False])
async def test_without_an_edge_a_connection_ends_at_once(is_known: bool) -> None:
    """Between two edges, and when it has just ended."""
    async with wired() as wire:
        wire.link.port = 1 if is_known else None
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        wire.clients.append(writer)
        assert await rest(reader) == b""


async def test_a_slow_reader_gets_all_that_was_carried_for_it() -> None:
    """Also when both ends have ended what they send long before."""
    async with wired() as wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port, limit=1024)
        wire.clients.append(writer)
        data = bytes(1 << 22)
        writer.write(data)
        writer.write_eof()
        while not wire.served or not wire.served[0].is_closing():
            await asyncio.sleep(0.001)
            if len(wire.served) and wire.served[0].transport.get_write_buffer_size():
                break
        assert len(await reader.read(-1)) == len(data)


async def test_the_edge_may_end_a_connection() -> None:
    async with wired() as wire:
        reader, _writer = await wire.connect()
        wire.served[0].close()
        assert await reader.read() == b""
