"""Many clients in one process that keep their cursors, check what they get, and come back.

``python -m integration.bench.followers`` replies ``{}`` and does as told, one thing after another:

* ``{"connect": n, "port": p, "buffer": b}``: n clients join at the feed's end, with receive buffers of so many bytes
  and segments as on Ethernet (0: as the kernel thinks best), and are welcomed;
* ``{"until": n}``: they read until each has had n posts in all. While they are not told to read, they do not;
* ``{"leave": true}``: they cut their connections;
* ``{"return": p}``: all come back at once, each with its cursor, and read until each is welcomed;
* ``{"knock": p}``: likewise, but they leave again when each has been answered 101, whatever should come next;
* ``{"closed": true}``: they read until the server has closed each of them.

The answer to each is ``last``, the wall clock when the last of them was done, with ``cpu`` and ``seconds`` as in
:mod:`integration.bench.clients`, and to the last also ``codes`` and the clock at the ``closes``, in their order.
"""

import errno
import math
import os
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from integration.bench.companion import commands, reply
from integration.bench.follower import Follower
from integration.bench.transcript import Transcript, Wrong

_HANDSHAKE: Final = (
    "GET /?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_PATIENCE_SECONDS: Final = 100.0
_PAUSE_SECONDS: Final = 0.001
"""Both as in :mod:`integration.bench.clients`."""
_AT_ONCE: Final = 100
"""So many join at the feed's end at a time; with cursors they come back all at once."""
_READ_BYTES: Final = 256 * 1024
_PARENT: Final = 0
_CLOSES: Final = 1_000
"""So many of the clock's readings are told: each hundredth of them is seen."""
_CLOSE: Final = b"\x88\x82\x00\x00\x00\x00"
"""The answer to a close (RFC 6455 section 5.5.1): two bytes, masked with zeros, which leaves them as they are."""
_SEGMENT_BYTES: Final = 1460
"""With loopback's 64 KiB the kernel would hold megabytes for a client that does not read."""


class _Followers:
    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._epoll.register(_PARENT, select.EPOLLIN)
        self._transcript = Transcript()
        self._followers: list[Follower] = []
        self._requests: dict[int, bytes] = {}
        self._buffer = 0
        self._sockets: dict[int, tuple[socket.socket, Follower]] = {}

    def connect(self, port: int, count: int, buffer: int) -> dict[str, Any]:
        self._buffer = buffer
        answer: dict[str, Any] = {}
        for first in range(0, count, _AT_ONCE):
            fresh = [Follower(self._transcript) for _ in range(min(_AT_ONCE, count - first))]
            self._followers += fresh
            answer = self._join(port, fresh)
        return answer

    def return_to(self, port: int) -> dict[str, Any]:
        return self._join(port, self._followers)

    def knock(self, port: int) -> dict[str, Any]:
        self._begin(port, self._followers)
        answer = self._read_until(lambda follower: follower.is_answered)
        self.leave()
        return answer

    def _join(self, port: int, followers: Iterable[Follower]) -> dict[str, Any]:
        self._begin(port, followers)
        return self._read_until(lambda follower: follower.is_welcome)

    def _begin(self, port: int, followers: Iterable[Follower]) -> None:
        for follower in followers:
            client = socket.socket()
            client.setblocking(False)
            if self._buffer:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
            code = client.connect_ex(("127.0.0.1", port))
            if code not in {0, errno.EINPROGRESS}:
                raise OSError(code, os.strerror(code))
            self._sockets[client.fileno()] = client, follower
            self._requests[client.fileno()] = _HANDSHAKE.format(query=follower.query()).encode()
            self._epoll.register(client.fileno(), select.EPOLLOUT)

    def until(self, posts: int) -> dict[str, Any]:
        def has_them(follower: Follower) -> bool:
            end = self._transcript.end_of(posts)
            return end is not None and follower.position >= end

        return self._read_until(has_them)

    def leave(self) -> dict[str, Any]:
        for client, _ in self._sockets.values():
            client.close()
        self._sockets.clear()
        return {}

    def closed(self) -> dict[str, Any]:
        closes: list[float] = []
        answer = self._read_until(lambda follower: follower.code is not None, closes)
        codes = Counter(follower.code for follower in self._followers)
        self.leave()
        return {**answer, "codes": codes, "closes": closes[:: math.ceil(len(closes) / _CLOSES)]}

    def _read_until(self, is_done: Callable[[Follower], bool], done: list[float] | None = None) -> dict[str, Any]:
        """Read until all are done, and note the clock at each."""
        done = [] if done is None else done
        waiting = {fd for fd, (_, follower) in self._sockets.items() if not is_done(follower)}
        cpu, begin = time.process_time(), time.monotonic()
        while waiting:
            events = self._epoll.poll(max(0.0, begin + _PATIENCE_SECONDS - time.monotonic()), len(self._sockets) + 1)
            if not events:
                raise TimeoutError(f"{len(waiting)} of {len(self._sockets)} followers still wait")
            for fd, event in events:
                self._handle(fd, event)
                if fd in waiting and is_done(self._sockets[fd][1]):
                    waiting.discard(fd)
                    done.append(time.time())
            time.sleep(_PAUSE_SECONDS)
        return {
            "last": done[-1] if done else time.time(),
            "cpu": time.process_time() - cpu,
            "seconds": time.monotonic() - begin,
        }

    def _handle(self, fd: int, event: int) -> None:
        if fd == _PARENT:
            raise SystemExit(0)
        client, follower = self._sockets[fd]
        if event & select.EPOLLOUT:
            client.sendall(self._requests.pop(fd))
            self._epoll.modify(fd, select.EPOLLIN)
            return
        try:
            data = client.recv(_READ_BYTES)
        except ConnectionResetError:
            data = b""
        if data:
            self._receive(client, follower, data)
        elif follower.code is None:
            raise Wrong("the server cut a connection without a close")
        else:
            # It has said its code; the descriptor would be ready for ever.
            self._epoll.unregister(fd)

    def _receive(self, client: socket.socket, follower: Follower, data: bytes) -> None:
        follower.receive(data)
        if follower.code is not None:
            # It may be gone already: whoever ends need not wait for our answer.
            with suppress(ConnectionError):
                client.sendall(_CLOSE + follower.code.to_bytes(2))


def main() -> None:
    """Do as told until there is nobody to tell."""
    followers = _Followers()
    reply()
    try:
        for command in commands():
            match command:
                case {"connect": count, "port": port, "buffer": buffer}:
                    reply(**followers.connect(port, count, buffer))
                case {"until": posts}:
                    reply(**followers.until(posts))
                case {"return": port}:
                    reply(**followers.return_to(port))
                case {"knock": port}:
                    reply(**followers.knock(port))
                case {"closed": _}:
                    reply(**followers.closed())
                case _:
                    reply(**followers.leave())
    except (OSError, Wrong) as error:
        reply(error=str(error) or type(error).__name__)
    # Thousands of sockets need no farewell.
    os._exit(0)


if __name__ == "__main__":
    main()
