"""Clients that come, so many a second, and take what they are sent; many of them at random places of a full log.

``python -m integration.bench.comebacks PORT RATE POSTS`` offers compression for each client, and asks for the last
posts, a random number of them up to ``POSTS``; clients are plain where that is 0. Told ``{"come": n, "seconds": s}`` so
many come, and all read until those seconds are over, or, where they are 0, until all have come. The answer has
``clients``, how many have come in all, ``served``, how many have got anything behind their 101, ``closed``, how many
the server has closed, and ``bytes``, what all have got.
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
    "GET /{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
_PATIENCE_SECONDS: Final = 100.0
_ANSWER_BYTES: Final = 400
"""No answer to a handshake is longer, and less than that is no post."""
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
        self._clients = self._served = self._closed = self._bytes = 0

    def come(self, count: int, seconds: float) -> dict[str, int]:
        """Have so many come, read until the time is over or all have come, and say what has become of all."""
        begin, before = time.monotonic(), self._clients
        while (passed := time.monotonic() - begin) < seconds or (not seconds and self._clients - before < count):
            while self._clients - before < min(count, passed * self._rate):
                self._connect()
            self._read()
            time.sleep(_PAUSE_SECONDS)
        served = self._served + sum(size > _ANSWER_BYTES for size in self._got.values())
        return {"clients": self._clients, "served": served, "closed": self._closed, "bytes": self._bytes}

    def _connect(self) -> None:
        client = socket.socket()
        client.settimeout(_PATIENCE_SECONDS)
        client.connect(("127.0.0.1", self._port))
        query = f"?history={self._random.randint(1, self._posts)}" if self._posts else ""
        client.sendall(_HANDSHAKE.format(query=query).encode())
        client.setblocking(False)
        self._sockets[client.fileno()] = client
        self._got[client.fileno()] = 0
        self._clients += 1
        self._epoll.register(client.fileno(), select.EPOLLIN)

    def _read(self) -> None:
        for fd, _ in self._epoll.poll(0, len(self._sockets) + 1):
            size = 0
            with suppress(ConnectionResetError):
                # The kernel throws the bytes away, as in integration.bench.clients; what is left is a close.
                size = self._sockets[fd].recv_into(_NOWHERE, _READ_BYTES, socket.MSG_TRUNC)
            self._got[fd] += size
            self._bytes += size
            if not size:
                self._sockets.pop(fd).close()
                self._served += self._got.pop(fd) > _ANSWER_BYTES
                self._closed += 1


_NOWHERE: Final = bytearray(_READ_BYTES)


def main() -> None:
    """Do as told until there is nobody to tell."""
    port, rate, posts = sys.argv[1:]
    clients = _Clients(int(port), float(rate), int(posts))
    try:
        for command in commands():
            reply(**clients.come(command["come"], command["seconds"]))
    except OSError as error:
        reply(error=str(error) or type(error).__name__)
    # Thousands of sockets need no farewell.
    os._exit(0)


if __name__ == "__main__":
    main()
