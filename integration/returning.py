"""A client that comes back as the protocol asks it to: with its newest cursor, and when it is told to."""

import asyncio
import json
import random
import re
import time
from typing import Any, Final

from websockets.frames import Frame, Opcode

from integration.clients import SUBPROTOCOL
from tests.strict import Reader

_TOLD: Final = re.compile(r" retry_after=([0-9.]+)$")
# Made once: thousands come at once, and what each costs the test is time in which none comes.
_REQUEST: Final = (
    "GET /QUERY HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
)


class Returning:
    """One client; it has no library between it and the socket, so that a process has thousands."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.posts: list[int] = []
        self.comes_back = True
        """Whether it comes back after a connection that was cut."""
        self.refusals = 0
        """How often it was told to come back later."""
        self.welcomed: float | None = None
        """When it was welcomed last, by the monotonic clock."""
        self.is_behind = True
        """Whether there is more that it was told of and has not got."""

    async def follow(self, port: int) -> None:
        """Be a client of the edge at this port, for as long as it comes back there."""
        while True:
            seconds = await self._connect(port)
            if seconds is not None:
                self.refusals += 1
                # Nobody wakes to the millisecond.
                await asyncio.sleep(seconds + random.uniform(0, 0.05))  # noqa: S311 - any will do
            elif self.comes_back:
                await asyncio.sleep(random.uniform(0.5, 1))  # noqa: S311 - likewise
            else:
                return

    async def _connect(self, port: int) -> float | None:
        """Return after how many seconds to come back; None when the connection was cut."""
        query = "?history=0" if self.cursor is None else f"?cursor={self.cursor}"
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return None
        frames = Reader()
        try:
            writer.write(_REQUEST.replace("QUERY", query).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert f"\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n".encode() in head
            while data := await reader.read(1 << 16):
                for frame in frames.feed(data):
                    if frame.opcode is Opcode.CLOSE:
                        told = _TOLD.search(bytes(frame.data[2:]).decode())
                        assert int.from_bytes(frame.data[:2]) == 4001
                        assert told is not None
                        return float(told[1])
                    if frame.opcode is Opcode.PING:
                        writer.write(Frame(Opcode.PONG, frame.data).serialize(mask=True))
                    if frame.opcode is Opcode.TEXT:
                        self._hear(json.loads(bytes(frame.data)))
        except (ConnectionResetError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
        return None

    def _hear(self, message: dict[str, Any]) -> None:
        payload = message["payload"]
        self.cursor = payload["cursor"] if message["action"] == "welcome" else message["cursor"]
        match message["action"]:
            case "welcome":
                assert payload["recovered"]
                self.welcomed, self.is_behind = time.monotonic(), payload["behind"] > 0
            case "caught_up":
                self.is_behind = False
            case "created":
                self.posts.append(payload["id"])
