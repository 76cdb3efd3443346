"""Clients that come back at random places of a full log, so many a second, and take what comes.

``python -m integration.bench.comebacks PORT RATE POSTS`` connects ``RATE`` clients a second; each offers compression
and asks for the last posts, a random number of them up to ``POSTS``. Told ``{"seconds": s}`` it does so for as long,
and replies with ``clients``, how many have come, ``welcomed``, how many have got anything behind their 101, ``bytes``,
how many bytes all of them have got, and ``cpu``, its own CPU time.
"""

import os
import random
import select
import socket
import sys
import time
from contextlib import suppress
from typing import Final

from integration.bench.companion import commands, reply

_HANDSHAKE: Final = (
    "GET /?history={posts} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
_ANSWER_BYTES: Final = 1024
"""No answer to a handshake is longer."""
_READ_BYTES: Final = 16 * 1024 * 1024
_PAUSE_SECONDS: Final = 0.002
"""Between two looks: a client on a network does not read each segment by itself either."""


class _Clients:
    def __init__(self, port: int, rate: float, posts: int) -> None:
        self._port = port
        self._rate = rate
        self._posts = posts
        self._random = random.Random(posts)  # noqa: S311 - places are no secret
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._got: dict[int, int] = {}

    def come(self, seconds: float) -> None:
        begin = time.monotonic()
        come = 0
        while (passed := time.monotonic() - begin) < seconds:
            while come < passed * self._rate:
                self._connect()
                come += 1
            self._read()
            time.sleep(_PAUSE_SECONDS)
        cpu = time.process_time()
        welcomed = sum(size > _ANSWER_BYTES for size in self._got.values())
        reply(clients=len(self._got), welcomed=welcomed, bytes=sum(self._got.values()), cpu=cpu)

    def _connect(self) -> None:
        client = socket.socket()
        client.settimeout(10)
        client.connect(("127.0.0.1", self._port))
        client.sendall(_HANDSHAKE.format(posts=self._random.randint(1, self._posts)).encode())
        client.setblocking(False)
        self._sockets[client.fileno()] = client
        self._got[client.fileno()] = 0
        self._epoll.register(client.fileno(), select.EPOLLIN)

    def _read(self) -> None:
        for fd, _ in self._epoll.poll(0, len(self._sockets) + 1):
            with suppress(BlockingIOError):
                # The kernel throws the bytes away, as in integration.bench.clients.
                size = self._sockets[fd].recv_into(_NOWHERE, _READ_BYTES, socket.MSG_TRUNC)
                if not size:
                    raise ConnectionError("the server closed a connection")
                self._got[fd] += size


_NOWHERE: Final = bytearray(_READ_BYTES)


def main() -> None:
    """Do as told until there is nobody to tell."""
    port, rate, posts = sys.argv[1:]
    clients = _Clients(int(port), float(rate), int(posts))
    try:
        for command in commands():
            clients.come(command["seconds"])
    except OSError as error:
        reply(error=str(error) or type(error).__name__)
    # Thousands of sockets need no farewell.
    os._exit(0)


if __name__ == "__main__":
    main()
