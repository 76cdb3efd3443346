"""Sends answers whose bodies many clients share, a piece at a time, to clients that may take them slowly or not at all.

Laws: of a body a connection holds one piece at most that is not with the kernel yet, so that what a slow client costs
is a piece. A client that takes nothing of a piece in ``stalled_seconds`` is cut.
"""

import asyncio
from collections.abc import Coroutine
from typing import Final

from aiohttp import web

_PIECE_BYTES: Final = 64 * 1024
PRESSED_SECONDS: Final = 5.0
"""After how long a client may be cut for others that cannot be sent anything."""


class Sending:
    """Sends answers; ``stalled_seconds`` is how long a client may take nothing (``pressed_seconds``: :meth:`press`)."""

    def __init__(self, stalled_seconds: float, pressed_seconds: float = PRESSED_SECONDS) -> None:
        self._stalled_seconds = stalled_seconds
        self._pressed_seconds = pressed_seconds
        # Since when each is being sent a body, by the loop's clock; the oldest first.
        self._under_way: dict[asyncio.Transport, float] = {}
        self.bytes = 0
        """Bytes of bodies that clients have taken."""
        self.stalled = 0
        """How many clients were cut."""

    async def send(self, request: web.Request, response: web.StreamResponse, body: bytes) -> None:
        """Send a response with a body; return when all of it is with the kernel, or the client is gone."""
        transport = request.transport
        if transport is None:
            return
        self._under_way[transport] = asyncio.get_running_loop().time()
        try:
            await response.prepare(request)
            view = memoryview(body)
            for begin in range(0, len(body), _PIECE_BYTES):
                piece = view[begin : begin + _PIECE_BYTES]
                await self._until_taken(request, transport, response.write(piece))
                self.bytes += len(piece)
            await self._until_taken(request, transport, response.write_eof())
        except ConnectionError:
            # The client has left, or was cut.
            return
        finally:
            del self._under_way[transport]

    def press(self) -> None:
        """Cut the client that has taken longest over its body, and longer than ``pressed_seconds``: others wait."""
        oldest = next(iter(self._under_way.items()), None)
        if oldest is not None and asyncio.get_running_loop().time() - oldest[1] >= self._pressed_seconds:
            self._cut(oldest[0])

    async def _until_taken(
        self, request: web.Request, transport: asyncio.Transport, writing: Coroutine[None, None, None]
    ) -> None:
        """Write, and wait until the transport holds nothing. aiohttp may wait for that by itself, and for ever."""
        try:
            async with asyncio.timeout(self._stalled_seconds):
                await writing
                await request.writer.drain()
        except TimeoutError:
            self._cut(transport)
            raise ConnectionAbortedError from None

    def _cut(self, transport: asyncio.Transport) -> None:
        self.stalled += 1
        transport.abort()
