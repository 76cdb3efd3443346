"""A client that reads only as told: its socket is small, and what it does not take stays with the edge."""

import asyncio
import json
import socket
from typing import Any, Final, Self

from websockets.frames import Opcode

from integration.clients import PATIENCE_SECONDS, SUBPROTOCOL
from tests.strict import Reader

_HANDSHAKE: Final = (
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
)
_BUFFER_BYTES: Final = 4_096
_SEGMENT_BYTES: Final = 1_460
"""As on Ethernet. With loopback's 64 KiB the kernel would hold megabytes for who does not read."""
_ABNORMAL: Final = 1006


class SlowClient:
    """One client with cursors. Made by :func:`connect`; it answers no pings, and is cut at the end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = Reader()
        self.messages: list[dict[str, Any]] = []
        """All that it was sent whole, the welcome included."""
        self.code: int | None = None
        """How the connection ended: 1006 when it was cut without a close (RFC 6455 section 7.1.5)."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def ids(self) -> list[int]:
        """The ids of its posts."""
        return [message["payload"]["id"] for message in self.messages if message["action"] == "created"]

    @property
    def cursor(self) -> str:
        """Where it stands."""
        last = self.messages[-1]
        cursor: str = last["payload"]["cursor"] if last["action"] == "welcome" else last["cursor"]
        return cursor

    async def read(self, most: int = 65_536) -> None:
        """Wait for something, however long, and take so many bytes of it at most."""
        try:
            data = await asyncio.get_running_loop().sock_recv(self._connection, most)
        except ConnectionResetError:
            data = b""
        frames = self._reader.feed(data)
        self.messages += [json.loads(bytes(frame.data)) for frame in frames if frame.opcode is Opcode.TEXT]
        if self._reader.close is not None:
            self.code = self._reader.close.code
        elif not data:
            self.code = _ABNORMAL

    async def read_until_last(self, id_: int) -> None:
        """Read until the newest post is this one."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.ids[-1:] != [id_] and self.code is None:
                await self.read()

    async def read_until_end(self) -> int:
        """Read all that there is; return how the connection ended."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.code is None:
                await self.read()
        return self.code


async def connect(port: int) -> SlowClient:
    """Connect, and read up to the welcome."""
    loop = asyncio.get_running_loop()
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    try:
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(connection, _HANDSHAKE.encode())
        # To the byte: what follows the answer is frames.
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await loop.sock_recv(connection, 1)
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        client = SlowClient(connection)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not client.messages:
                await client.read(1)
    except BaseException:
        connection.close()
        raise
    return client
