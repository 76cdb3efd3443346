"""Clients that come back to one place of the feed, all at once, and take what they are sent, but for one of them.

``python -m integration.bench.returning PORT QUERY`` is told ``{"clients": n}`` once, and answers when all have
connected. It goes on reading until its input ends, and is then told nothing more.
"""

import os
import select
import socket
import sys
import threading
from contextlib import suppress
from typing import Final

from integration.bench.companion import commands, reply

_HANDSHAKE: Final = (
    "GET /{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_SMALL_BYTES: Final = 4096
_READ_BYTES: Final = 16 * 1024 * 1024
_NOWHERE: Final = bytearray(_READ_BYTES)


def _connect(port: int, query: str, *, is_slow: bool) -> socket.socket:
    client = socket.socket()
    if is_slow:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BYTES)
    client.connect(("127.0.0.1", port))
    client.sendall(_HANDSHAKE.format(query=query).encode())
    client.setblocking(False)
    return client


def _read(sockets: dict[int, socket.socket], epoll: select.epoll) -> None:
    """Take what comes, for ever; what it is does not matter here."""
    while True:
        for fd, _ in epoll.poll():
            with suppress(OSError):
                # The kernel throws the bytes away; what is left of a connection that ended is a close.
                if not sockets[fd].recv_into(_NOWHERE, _READ_BYTES, socket.MSG_TRUNC):
                    epoll.unregister(fd)


def main() -> None:
    """Do as told until there is nobody to tell."""
    port, query = sys.argv[1:]
    sockets: dict[int, socket.socket] = {}
    epoll = select.epoll()
    try:
        for command in commands():
            for number in range(command["clients"]):
                client = _connect(int(port), query, is_slow=number == 0)
                sockets[client.fileno()] = client
                if number:
                    epoll.register(client.fileno(), select.EPOLLIN)
            threading.Thread(target=_read, args=(sockets, epoll), daemon=True).start()
            reply(connected=len(sockets))
    except OSError as error:
        reply(error=str(error) or type(error).__name__)
    # Thousands of sockets need no farewell.
    os._exit(0)


if __name__ == "__main__":
    main()
