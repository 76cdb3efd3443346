"""A TCP proxy between clients and the edge: it carries bytes, and does what happens to connections on their way."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

_PIECE: Final = 64 * 1024
# A slow link carries so little at a time that a message comes in pieces.
_SLOW_PIECE: Final = 200
# Of what is carried last so many bytes are missing where a message is halved: less than any message has.
_HALF: Final = 20
# What a client of the feed asks for; probes, pages and scripts are none.
_FEED: Final = re.compile(rb"(?:GET|HEAD) /(?:events|posts)?(?:\?\S*)? HTTP/1")
_MAX_HEAD_BYTES: Final = 16 * 1024
_UPGRADE: Final = re.compile(rb"\r\nupgrade: *websocket", re.IGNORECASE)

Carry = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
"""Carries what comes on a connection, to its end."""


class Link:
    """Made by :func:`linked`. ``port`` is that of the edge; None while there is none."""

    def __init__(self, bytes_per_second: int | None) -> None:
        self._bytes_per_second = bytes_per_second
        self._open: set[_Connection] = set()
        self.port: int | None = None
        self.asked = asyncio.Event()
        """Set once a client has asked for the feed."""

    def cut(self) -> None:
        """End every connection of a client of the feed."""
        for each in self._clients():
            each.end()

    def halve(self) -> None:
        """End every connection of a client of the feed in the middle of what it is sent next."""
        for each in self._clients():
            each.is_halved = True

    def freeze(self) -> None:
        """Carry nothing more to and from any client of the feed that is connected now."""
        for each in self._clients():
            each.is_frozen = True

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until both ends have ended, or one of them is gone."""
        to_edge: asyncio.StreamWriter | None = None
        try:
            # Between two edges, and where one has just ended, a connection ends at once.
            if self.port is not None:
                from_edge, to_edge = await asyncio.open_connection("127.0.0.1", self.port, limit=_PIECE)
                await self._carry(_Connection(writer, to_edge), reader, from_edge)
                await _closed(writer, to_edge)
        except OSError:
            return
        finally:
            for end in (writer, to_edge):
                if end is not None:
                    end.transport.abort()

    async def _carry(
        self, connection: "_Connection", reader: asyncio.StreamReader, from_edge: asyncio.StreamReader
    ) -> None:
        self._open.add(connection)
        ways = [
            asyncio.create_task(self._to_edge(connection, reader)),
            asyncio.create_task(self._to_client(connection, from_edge)),
        ]
        try:
            await asyncio.wait(ways)
        finally:
            for each in ways:
                each.cancel()
            self._open.discard(connection)

    async def _to_edge(self, connection: "_Connection", reader: asyncio.StreamReader) -> None:
        async for data in self._pieces(reader):
            if connection.asks_for_feed(data):
                self.asked.set()
            await connection.write(connection.edge, data)
        if connection.is_frozen:
            connection.end()
        else:
            # A client may end what it sends, and go on reading.
            connection.write_end(connection.edge)

    async def _to_client(self, connection: "_Connection", reader: asyncio.StreamReader) -> None:
        async for data in self._pieces(reader):
            if connection.is_halved:
                await connection.write(connection.client, data[: max(1, len(data) - _HALF)])
                connection.edge.transport.abort()
                break
            await connection.write(connection.client, data)
        connection.write_end(connection.client)

    async def _pieces(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        """Return what comes, as fast as the link is, until the end."""
        size = _PIECE if self._bytes_per_second is None else _SLOW_PIECE
        with suppress(OSError):
            while data := await reader.read(size):
                yield data
                if self._bytes_per_second is not None:
                    await asyncio.sleep(len(data) / self._bytes_per_second)

    def _clients(self) -> Iterator["_Connection"]:
        return (each for each in list(self._open) if each.is_client)


class _Connection:
    """Both ends of what is carried."""

    def __init__(self, client: asyncio.StreamWriter, edge: asyncio.StreamWriter) -> None:
        self.client = client
        self.edge = edge
        self.is_client = False
        """Whether it is for the feed."""
        self._head = b""
        self.is_halved = self.is_frozen = False

    def asks_for_feed(self, data: bytes) -> bool:
        """Note what the client has sent; tell whether it has asked for the feed by now, on this connection."""
        if not self.is_client:
            *heads, self._head = (self._head + data).split(b"\r\n\r\n")
            self.is_client = any(map(asks_for_feed, heads))
            if len(self._head) > _MAX_HEAD_BYTES:
                self._head = b""
        return self.is_client

    async def write(self, end: asyncio.StreamWriter, data: bytes) -> None:
        """Write to one end, unless nothing is carried any more; it may be gone."""
        if self.is_frozen or end.transport.is_closing():
            return
        end.write(data)
        with suppress(OSError):
            await end.drain()

    def write_end(self, end: asyncio.StreamWriter) -> None:
        """Have one end know that nothing more comes."""
        if not self.is_frozen and not end.transport.is_closing():
            with suppress(OSError):
                end.write_eof()

    def end(self) -> None:
        """End it at once, on both sides."""
        self.client.transport.abort()
        self.edge.transport.abort()


async def _closed(*ends: asyncio.StreamWriter) -> None:
    """Close both ends once what was written to them has gone out."""
    for end in ends:
        end.close()
    for end in ends:
        await end.wait_closed()


def asks_for_feed(head: bytes) -> bool:
    """Tell whether a request is one for the feed, on whichever transport."""
    found = _FEED.match(head)
    return found is not None and (b"/events" in found[0] or b"/posts" in found[0] or bool(_UPGRADE.search(head)))


@asynccontextmanager
async def linked(host: str, port: int, bytes_per_second: int | None = None) -> AsyncIterator[tuple[Link, int]]:
    """Listen meanwhile; yield the link, and the port that was chosen where ``port`` is 0. Raises :class:`OSError`."""
    link = Link(bytes_per_second)
    async with carrying(link.carry, host, port) as chosen:
        yield link, chosen


@asynccontextmanager
async def carrying(carry: Carry, host: str, port: int) -> AsyncIterator[int]:
    """Listen meanwhile, and carry what comes on each connection; yield the port. Raises :class:`OSError`.

    At the end nothing is carried any more.
    """
    carried: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carry(reader, writer))
        carried.add(task)
        task.add_done_callback(carried.discard)

    server = await asyncio.start_server(accept, host, port, limit=_PIECE)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in carried:
            task.cancel()
        if carried:
            await asyncio.wait(carried)
