"""Many WebSocket clients in one process: plain sockets, one epoll, and nothing but bytes counted.

``python -m integration.bench.clients PORT COUNT [OPTION]...`` connects them and replies ``{}``. With ``deflated`` they
offer compression, and it must be agreed; with ``path=PATH`` they ask for that path; with ``greeted`` the first frame
that each gets is a greeting, which is not counted.

Told ``{"until": n}`` it replies when each has got ``n`` bytes in all, with ``last``, the wall clock at the last byte,
and with ``cpu`` and ``seconds``, its own CPU time and the time that passed since the first byte: their ratio is how
near it is to being what is measured. Told ``{"begun": true}`` it replies likewise when each has got anything at all.
Told ``{"idle": seconds}`` they answer pings for so long, and it replies with how many ``pings`` there were.

With ``sparse`` only one in fifty reads: what the others get waits in large buffers of the kernel, so that these clients
use next to no CPU time. ``until`` is about those that read; told ``{"all": n}`` it replies when the others have read,
too, and each has got ``n`` bytes in all.
"""

import os
import select
import socket
import sys
import time
from typing import Final

from integration.bench.companion import commands, reply

# A key is sixteen bytes in base64 (RFC 6455 section 4.1). These clients trust the answer, so any will do.
_HANDSHAKE: Final = (
    b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
)
# As browsers offer it.
_OFFER: Final = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
_AGREEMENT: Final = b"\r\nSec-WebSocket-Extensions: permessage-deflate"
DEFLATED: Final = "deflated"
SPARSE: Final = "sparse"
GREETED: Final = "greeted"
PATH: Final = "path="
_READS: Final = 50
"""One in so many."""
_WAITING_BYTES: Final = 1024 * 1024
"""What may wait for one that does not read, the kernel's bookkeeping included."""
_ANSWER_BYTES: Final = 4096
# So many handshakes at a time: every listener's backlog takes them.
_AT_ONCE: Final = 100
# Longer than any part keeps them waiting on a busy machine, and shorter than the other end's patience.
_PATIENCE_SECONDS: Final = 100.0
# Between two looks, so that more than one client has got something at each and nobody is asleep in epoll: else a write
# would have to wake us, which costs the server as much again as sending does and no client on a network would cost it.
_PAUSE_SECONDS: Final = 0.001
# What one call may discard: more than a socket's buffer ever holds.
_READ_BYTES: Final = 16 * 1024 * 1024
_PARENT: Final = 0
# RFC 6455 section 5.2: FIN and opcode; the bit that says that a frame is masked; the mark of a length in two bytes.
_PING: Final = 0x89
_PONG: Final = 0x8A
_MASKED: Final = 0x80
_MARK: Final = 126


class _Clients:
    def __init__(self, *, deflated: bool, sparse: bool, greeted: bool, path: str) -> None:
        self._handshake = _HANDSHAKE % (path.encode(), _OFFER if deflated else b"")
        self._deflated = deflated
        self._greeted = greeted
        self._reads = _READS if sparse else 1
        self._epoll = select.epoll()
        self._epoll.register(_PARENT, select.EPOLLIN)
        self._sockets: dict[int, socket.socket] = {}
        self._got: dict[int, int] = {}
        self._reading: list[int] = []

    def connect(self, port: int, count: int) -> None:
        while (missing := count - len(self._sockets)) > 0:
            fresh = [socket.socket() for _ in range(min(missing, _AT_ONCE))]
            for each in fresh:
                each.settimeout(_PATIENCE_SECONDS)
                if self._reads > 1:
                    # Before it connects: then the two ends agree how large it may be.
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING_BYTES)
                each.connect(("127.0.0.1", port))
                each.sendall(self._handshake)
            for each in fresh:
                self._take_in(each)

    def _take_in(self, client: socket.socket) -> None:
        answer = b""
        while b"\r\n\r\n" not in answer:
            received = client.recv(_ANSWER_BYTES)
            if not received:
                raise ConnectionError("the server closed during the handshake")
            answer += received
        head, _, rest = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(f"the server answered {head.splitlines()[0]!r}")
        if (_AGREEMENT in head) != self._deflated:
            raise ConnectionError(f"compression is agreed, or not agreed, against what was asked: {head!r}")
        if self._greeted:
            rest = self._behind_greeting(client, rest)
        client.setblocking(False)
        self._sockets[client.fileno()] = client
        self._got[client.fileno()] = len(rest)
        if len(self._sockets) % self._reads == 0:
            self._reading.append(client.fileno())
            self._epoll.register(client.fileno(), select.EPOLLIN)

    def _behind_greeting(self, client: socket.socket, data: bytes) -> bytes:
        """Read the first frame to its end; return what has come behind it."""
        while (size := _size_of(data)) is None or len(data) < size:
            received = client.recv(_ANSWER_BYTES)
            if not received:
                raise ConnectionError("the server closed instead of greeting")
            data += received
        return data[size:]

    def idle(self, seconds: float) -> dict[str, float]:
        """Answer pings for that long. Nothing else may come."""
        pings = 0
        cpu, begin = time.process_time(), time.monotonic()
        while (left := begin + seconds - time.monotonic()) > 0:
            for fd, _ in self._epoll.poll(left, len(self._sockets) + 1):
                pings += self._answer_ping(fd)
            time.sleep(_PAUSE_SECONDS)
        return {
            "last": time.time(), "cpu": time.process_time() - cpu, "seconds": time.monotonic() - begin, "pings": pings,
        }  # fmt: skip

    def _answer_ping(self, fd: int) -> int:
        """Answer the pings that have come; return how many they were."""
        if fd == _PARENT:
            raise SystemExit(0)
        data = self._sockets[fd].recv(_ANSWER_BYTES)
        if not data:
            raise ConnectionError("the server closed a connection")
        pings = 0
        while data:
            size = _size_of(data)
            if data[0] != _PING or size is None or len(data) < size:
                raise ValueError(f"something else than a ping came: {data[:80]!r}")
            # Masked with zeros, which leaves the payload as it is.
            self._sockets[fd].sendall(bytes([_PONG, _MASKED | data[1]]) + bytes(4) + data[2:size])
            data, pings = data[size:], pings + 1
        return pings

    def until(self, goal: int) -> dict[str, float]:
        """Read until each client has got ``goal`` bytes and no more, or raise."""
        answer = self._read_until(goal)
        if max(self._got.values()) > goal:
            raise ValueError(f"a client has got {max(self._got.values())} bytes instead of {goal}")
        return answer

    def begun(self) -> dict[str, float]:
        """Read until each client has got something."""
        return self._read_until(1)

    def all(self, goal: int) -> dict[str, float]:
        """Have all read until each has got ``goal`` bytes and no more, or raise."""
        others = self._got.keys() - self._reading
        for fd in others:
            self._sockets[fd].settimeout(_PATIENCE_SECONDS)
            while self._got[fd] < goal:
                self._read(fd, goal)
        return self.until(goal)

    def _read_until(self, goal: int) -> dict[str, float]:
        missing = sum(self._got[fd] < goal for fd in self._reading)
        cpu = started = last = 0.0
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while missing:
            events = self._epoll.poll(max(0.0, deadline - time.monotonic()), len(self._sockets) + 1)
            if not started:
                cpu, started = time.process_time(), time.monotonic()
            if not events:
                raise TimeoutError(
                    f"{missing} clients have not got {goal} bytes; the least is {min(self._got.values())}"
                )
            missing -= sum(self._read(fd, goal) for fd, _ in events)
            last = time.time()
            time.sleep(_PAUSE_SECONDS)
        return {"last": last, "cpu": time.process_time() - cpu, "seconds": time.monotonic() - started}

    def _read(self, fd: int, goal: int) -> bool:
        """Take what is there; say whether it is what the client was waiting for."""
        if fd == _PARENT:
            raise SystemExit(0)
        # The kernel throws the bytes away and says how many they were (tcp(7), MSG_TRUNC): copying them would cost
        # the machine more than sending them costs the server.
        count = self._sockets[fd].recv_into(_NOWHERE, _READ_BYTES, socket.MSG_TRUNC)
        if not count:
            raise ConnectionError("the server closed a connection")
        before = self._got[fd]
        self._got[fd] = before + count
        return before < goal <= before + count


_NOWHERE: Final = bytearray(_READ_BYTES)


def _size_of(data: bytes) -> int | None:
    """Return the whole size of the frame that begins here, as a server sends it and below 64 KiB; None before that."""
    if len(data) < 2 or (data[1] == _MARK and len(data) < 4):
        return None
    return 4 + int.from_bytes(data[2:4]) if data[1] == _MARK else 2 + data[1]


def main() -> None:
    """Do as told until there is nobody to tell."""
    port, count, *options = sys.argv[1:]
    path = next((option.removeprefix(PATH) for option in options if option.startswith(PATH)), "/")
    clients = _Clients(deflated=DEFLATED in options, sparse=SPARSE in options, greeted=GREETED in options, path=path)
    try:
        clients.connect(int(port), int(count))
        reply()
        for command in commands():
            match command:
                case {"until": goal}:
                    reply(**clients.until(goal))
                case {"all": goal}:
                    reply(**clients.all(goal))
                case {"idle": seconds}:
                    reply(**clients.idle(seconds))
                case _:
                    reply(**clients.begun())
    except (OSError, ValueError) as error:
        reply(error=str(error) or type(error).__name__)
    # Thousands of sockets need no farewell.
    os._exit(0)


if __name__ == "__main__":
    main()
