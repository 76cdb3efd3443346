"""A client's socket, beside aiohttp's WebSocket: the one place that leans on how aiohttp works.

aiohttp does the handshake, reads what the client sends, answers its pings and closes. What we
send are frames that were made once for everybody, so they go to the transport directly. For that
we need three things that its WebSocket does not give:

* when the transport holds unsent bytes, and when it has none again: with write limits of zero it
  calls ``pause_writing`` and ``resume_writing`` at exactly these moments;
* when the peer was last heard, whatever it sent;
* that aiohttp and we never cut into each other's frames: both hand whole frames to
  ``transport.write``, in one call or in two with nothing between them.

So a thin protocol takes the place of aiohttp's at the transport and passes everything on
(``asyncio.BaseTransport.set_protocol``). Relied upon, read in aiohttp 3.14 and held by tests: its
protocol finds the transport in its own attribute and never asks who is connected to it, and
``WebSocketWriter`` writes to the transport at once, without a buffer of its own.
"""

import asyncio
import os
from typing import Final, Protocol, cast

from aiohttp import web

from edge.frames import PING
from edge.session import Disconnect

CLOSE_SECONDS: Final = 5.0
"""How long a close may take to be sent, before the connection is aborted (law 11)."""


class Client(Protocol):
    """Who sends through a connection."""

    def held(self) -> None:
        """Hear that the transport holds bytes that it could not send."""
        ...

    def drained(self) -> None:
        """Hear that it holds none any more."""
        ...


class Connection(asyncio.Protocol):
    """One client's connection, from the handshake on."""

    __slots__ = (
        "_client",
        "_closing",
        "_inner",
        "_loop",
        "_socket",
        "_transport",
        "_websocket",
        "heard",
        "unsent_since",
    )

    def __init__(self, websocket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self._websocket = websocket
        self._transport = transport
        self._inner = cast("asyncio.Protocol", transport.get_protocol())
        self._loop = asyncio.get_running_loop()
        # Under TLS the transport alone knows what goes over the wire.
        encrypted = transport.get_extra_info("ssl_object") is not None
        self._socket: int | None = None if encrypted else transport.get_extra_info("socket").fileno()
        self._closing: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self.heard = self._loop.time()
        """When the peer was last heard, by the loop's clock."""
        self.unsent_since: float | None = None
        """Since when the transport has held unsent bytes; None when it holds none."""
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=0)

    def tell(self, client: Client) -> None:
        """Have this client told when unsent bytes are held, and when they are gone."""
        self._client = client

    def write(self, frames: bytes) -> None:
        """Send whole frames; what the socket does not take at once is kept by the transport.

        While the transport holds nothing the socket is written to directly, which saves the time that
        asyncio takes around the same system call: 2 µs of 7. What is left of a short write goes to the
        transport at once, so that nobody's frame comes in between (law 10).
        """
        if self._socket is not None and self.unsent_since is None and not self._transport.is_closing():
            try:
                sent = os.write(self._socket, frames)
            except OSError:
                # It would block, or the peer is gone: the transport finds out, and knows what to do.
                sent = 0
            if sent == len(frames):
                return
            frames = frames[sent:]
        self._transport.write(frames)

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        self._transport.write(PING)

    def close(self, disconnect: Disconnect) -> None:
        """Close with a code, after what was begun; abort when that cannot be sent in time."""
        if self._closing is None:
            self._closing = self._loop.create_task(self._close(disconnect))

    def abort(self) -> None:
        """Cut the connection; the client sees 1006."""
        self._transport.abort()

    async def _close(self, disconnect: Disconnect) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._websocket.close(code=disconnect.code, message=disconnect.reason.encode())
        except TimeoutError:
            self._transport.abort()

    def pause_writing(self) -> None:
        """Note that the transport holds unsent bytes."""
        self.unsent_since = self._loop.time()
        self._inner.pause_writing()
        if self._client is not None:
            self._client.held()

    def resume_writing(self) -> None:
        """Note that it holds none any more."""
        self.unsent_since = None
        self._inner.resume_writing()
        if self._client is not None:
            self._client.drained()

    def data_received(self, data: bytes) -> None:
        """Note that the peer lives."""
        self.heard = self._loop.time()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._inner.connection_lost(exc)
