"""The limit of any fan-out from one thread of Python: a loop of ``os.write`` over as many sockets, and nothing else.

``python -m integration.bench.bare_writes`` replies with its ``port``. Told ``{"accept": n}`` it takes in that many
clients, told ``{"write": n}`` it writes the frames of ``n`` posts to each client in one call.
"""

import os
import socket

from integration.bench.companion import commands, reply
from integration.bench.posts import FIRST_ID, frames

_REQUEST_BYTES = 4096
# The clients trust the answer: no key is looked at.
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def _accepted(listener: socket.socket) -> socket.socket:
    client, _ = listener.accept()
    # As asyncio sets it: with Nagle's algorithm small writes would wait for each other.
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.recv(_REQUEST_BYTES)
    client.sendall(UPGRADED)
    return client


def main() -> None:
    """Do as told until there is nobody to tell."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    reply(port=listener.getsockname()[1])
    clients: list[socket.socket] = []
    descriptors: list[int] = []
    for command in commands():
        if "accept" in command:
            clients += [_accepted(listener) for _ in range(command["accept"])]
            descriptors = [client.fileno() for client in clients]
        else:
            data = frames(range(FIRST_ID, FIRST_ID + command["write"]))
            for descriptor in descriptors:
                os.write(descriptor, data)
        reply()


if __name__ == "__main__":
    main()
