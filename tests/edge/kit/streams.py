"""Both ends of one client's stream of events: the edge's, and a socket without a browser behind it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from edge.clients.event_stream import EventStream
from edge.wire.encoding import Message
from edge.wire.event_encodings import EVENTS
from tests.edge.kit.edge import Edge
from tests.edge.kit.pair import Peer, connecting
from tests.events import Event, EventReader

MANY: Final = b"".join(EVENTS.each([Message(b'{"x":"%b"}' % (b"x" * 60_000), "c")] * 10))
"""More than a socket takes whose buffers are as small as they get."""
_SMALL_BYTES: Final = 4096


class RecordedStream(EventStream):
    """A stream with a small buffer, that says what becomes of it."""

    last: "RecordedStream"

    def __init__(self, around: Any, transport: asyncio.Transport, **told: Any) -> None:
        super().__init__(around, transport, **told)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL_BYTES)
        self.transport = transport
        self.is_lost = asyncio.Event()
        type(self).last = self

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it."""
        super().connection_lost(exc)
        self.is_lost.set()


class Listener:
    """A client that reads events when told."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.reader = EventReader()
        self.status = 0
        self.headers: dict[str, str] = {}
        self._read: list[Event] = []

    async def ask(self, target: str = "/events", *lines: str, version: str = "1.1", method: str = "GET") -> None:
        """Send a request with these lines in its head, and read the answer's head."""
        head = "\r\n".join([f"{method} {target} HTTP/{version}", "Host: localhost", *lines, "", ""])
        await self.peer.send(head.encode())
        status, *fields = (await self.peer.read_head()).decode().split("\r\n")[:-2]
        self.status = int(status.split()[1])
        self.headers = dict(field.split(": ", 1) for field in fields)

    async def events(self, count: int) -> list[Event]:
        """Read so many events, byte by byte so that nothing behind them is read."""
        while len(self._read) < count:
            self._read += self.reader.feed(await self.peer.read(1))
        read, self._read = self._read, []
        return read

    async def rest(self) -> list[Event]:
        """Read to the end of the stream."""
        read = self.reader.feed(await self.peer.read_all())
        self.reader.end()
        return read


@asynccontextmanager
async def listening_to(edge: Edge, target: str = "/events", *lines: str, **how: str) -> AsyncIterator[Listener]:
    """Connect a client, and read the answer's head."""
    edge.events.stream = RecordedStream
    async with connecting(edge) as peer:
        listener = Listener(peer)
        await listener.ask(target, *lines, **how)
        yield listener


def ids(events: list[Event]) -> list[int]:
    """Name the posts among events."""
    return [each.message["payload"]["id"] for each in events if each.type == "message"]
