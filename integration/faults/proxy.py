"""A TCP proxy that can be broken: it stands between the product's processes and one service.

It counts what it did, so that a schedule can prove that its fault happened.
"""

import asyncio
import contextlib
import socket
import struct
from typing import Final

_READ_BYTES: Final = 64 * 1024
_SLOW_BYTES: Final = 16 * 1024
_SLOW_SECONDS: Final = 0.1
"""Together 160 kB/s, and a tenth of a second for each step of a conversation: a poor line, and yet a line."""


class _Link:
    """One connection through the proxy: its client's side and the service's."""

    def __init__(self, client: asyncio.StreamWriter, service: asyncio.StreamWriter) -> None:
        self.client = client
        self.service = service
        self.is_orphan = False

    def abort(self) -> None:
        """Reset both sides."""
        for side in (self.client, self.service):
            _reset(side)


def _reset(side: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # it may be closed already
        # To linger for no time: what is sent then is a reset, and not an orderly end (socket(7)).
        side.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    side.transport.abort()


class Proxy:
    """Listens on ``port`` of loopback and passes everything on to ``target``; broken by its methods."""

    def __init__(self, port: int, target: tuple[str, int]) -> None:
        self.port = port
        self._target = target
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._refuses = False
        self._is_slow = False
        self.refused = 0
        """How many connections were refused."""
        self.held_back = 0
        """How many bytes were kept waiting."""
        self.delayed = 0
        """How many bytes were passed on slowly."""
        self.swallowed = 0
        """How many bytes were said to a service that was not there any more."""

    @property
    def links(self) -> int:
        """How many connections there are whose service hears them."""
        return sum(1 for link in self._links if not link.is_orphan)

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Reset everything and listen no more."""
        if self._server is not None:
            self._server.close()
            self._reset()
            await self._server.wait_closed()

    def cut(self) -> int:
        """Reset all connections, refuse new ones, and return how many there were."""
        self._refuses = True
        return self._reset()

    def stall(self) -> None:
        """Move no byte any more; connections are accepted, and told nothing."""
        self._flows.clear()

    def slow(self) -> None:
        """Pass on little at a time."""
        self._is_slow = True

    def orphan(self) -> int:
        """Have the service lose its side of all connections, of which the clients hear nothing; return how many.

        What a client goes on to say is swallowed. New connections work.
        """
        links = [link for link in self._links if not link.is_orphan]
        for link in links:
            link.is_orphan = True
            link.service.transport.abort()
        return len(links)

    def heal(self) -> int:
        """Be whole again; return how many connections were orphans still, which are reset now."""
        self._refuses = self._is_slow = False
        self._flows.set()
        orphans = [link for link in self._links if link.is_orphan]
        for link in orphans:
            link.abort()
        return len(orphans)

    def _reset(self) -> int:
        links = list(self._links)
        for link in links:
            link.abort()
        return len(links)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._refuses:
                self.refused += 1
                _reset(writer)
                return
            try:
                from_service, to_service = await asyncio.open_connection(*self._target)
            except OSError:
                # An orderly end, as of a container's port while the container is stopped.
                writer.close()
                return
            link = _Link(writer, to_service)
            self._links.add(link)
            try:
                await asyncio.gather(self._pump(link, reader, to_service), self._pump(link, from_service, writer))
            finally:
                self._links.discard(link)
                link.abort()
        except asyncio.CancelledError:
            # The loop ends: nobody awaits a connection's task, and asyncio would log a cancelled one.
            writer.transport.abort()

    async def _pump(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one side says, and its end."""
        with contextlib.suppress(OSError):
            while data := await reader.read(_SLOW_BYTES if self._is_slow else _READ_BYTES):
                if not self._flows.is_set():
                    self.held_back += len(data)
                    await self._flows.wait()
                if self._is_slow:
                    self.delayed += len(data)
                    await asyncio.sleep(_SLOW_SECONDS)
                if link.is_orphan:
                    self.swallowed += len(data)
                    continue
                writer.write(data)
                await writer.drain()
        # Of the end of a service's side that was taken away its client is not to hear.
        if not link.is_orphan:
            with contextlib.suppress(OSError):
                writer.write_eof()
