"""Accepts connections, a few in a turn of the loop.

asyncio's own server accepts as many connections as its backlog holds in one turn, makes a task and a transport for each
before it asks for a protocol, and logs a traceback each second while files are short. Here a connection that is not
admitted costs two system calls.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from edge.access.entrance import Entrance, Gate
from edge.access.inner import Inner

_logger = structlog.get_logger("edge.listener")

# The kernel cuts it down to net.core.somaxconn; clients come back all at once when an edge restarts.
_BACKLOG: Final = 4096
# Connections that are accepted together shake hands together, at some 0.45 ms each: 2 ms of a turn. A record goes
# through half a dozen turns from Kafka's socket to the clients' (docs/decisions/0012-short-turns.md).
_AT_ONCE: Final = 4
# As asyncio waits: some file has to be closed first.
_PAUSE_SECONDS: Final = 1.0
_SHORT: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Listener:
    """A listening port, from :meth:`open` until :meth:`close`.

    ``handler`` makes aiohttp's protocol for a connection. ``unsent_bytes`` is how much of what is written to a
    connection the kernel keeps before it goes out; it takes no more while its peer takes nothing.
    """

    def __init__(self, gate: Gate, handler: Callable[[], Inner], *, unsent_bytes: int) -> None:
        self._unsent_bytes = unsent_bytes
        self._gate = gate
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._is_short = False

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The addresses on which it listens, with their ports."""
        return [each.getsockname()[:2] for each in self._sockets]

    async def open(self, host: str, port: int, *, reuse_port: bool = False) -> None:
        """Listen on all addresses of a host; ``::`` includes those of IPv4.

        With ``reuse_port`` other processes may listen on the same port. Raises :class:`OSError`.
        """
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                made = socket.create_server(
                    address[:2],
                    family=socket.AddressFamily(family),
                    backlog=_BACKLOG,
                    reuse_port=reuse_port,
                    # "All addresses" in IPv6 are those of IPv4, too.
                    dualstack_ipv6=address[0] == "::" and socket.has_dualstack_ipv6(),
                )
                made.setblocking(False)
                # What it accepts inherits this. By itself the kernel keeps megabytes for a client that does not read.
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self._unsent_bytes)
                self._sockets.append(made)
        except OSError:
            self.close()
            raise
        self._listen(self._sockets)

    def close(self) -> None:
        """Stop listening; accepted connections stay."""
        for each in self._sockets:
            self._loop.remove_reader(each)
            each.close()
        self._sockets.clear()

    def _listen(self, sockets: Iterable[socket.socket]) -> None:
        for each in sockets:
            self._loop.add_reader(each, self._accept, each)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _SHORT:
                    raise
                self._pause(error)
                return
            self._is_short = False
            entrance = self._gate.admit(address[0], self._handler)
            if entrance is None:
                accepted.close()
                continue
            connecting = self._loop.create_task(self._connect(accepted, entrance))
            # The loop keeps no strong reference to a task.
            self._connecting.add(connecting)
            connecting.add_done_callback(self._connecting.discard)

    async def _connect(self, accepted: socket.socket, entrance: Entrance) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: entrance, accepted)
        except OSError:
            # The client has left already.
            accepted.close()
            entrance.free_slot()

    def _pause(self, error: OSError) -> None:
        """Stop accepting for a moment: the socket stays readable, so the loop would spin."""
        if not self._is_short:
            self._is_short = True
            _logger.error("edge.short", error=error.strerror)
        for each in self._sockets:
            self._loop.remove_reader(each)
        self._loop.call_later(_PAUSE_SECONDS, lambda: self._listen(self._sockets))
