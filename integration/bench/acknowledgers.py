"""Devices of many users that acknowledge what they get, at a given pace: ``PORT CLIENTS``, with the key in ``KEY``.

Told ``{"seconds": S, "pace": N}``, they acknowledge their newest cursors, N a second in all, for S seconds, and answer
how many were stored, and how many were not.
"""

import asyncio
import os
import re
import secrets
import sys
import time
from base64 import b64encode
from collections.abc import Sequence
from functools import partial
from typing import Final

import jwt

from integration.bench.companion import commands, reply

_CURSOR: Final = re.compile(rb'"cursor":"([0-9a-v]{32})"')
_SLICE_SECONDS: Final = 0.01
_ANSWER_SECONDS: Final = 10.0
_AT_ONCE: Final = 50
_EXTENDED: Final = 126


class Device(asyncio.Protocol):
    """One device: it remembers its newest cursor, and counts answers."""

    acked = failed = 0

    def __init__(self, name: str, key: str) -> None:
        self._name = name
        self._token = jwt.encode({"sub": name, "exp": int(time.time()) + 3600}, key, "HS256")
        self._data = b""
        self._is_open = False
        self._cursor: bytes | None = None
        self.begun = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(
            "\r\n".join(
                (
                    "GET /?device=bench HTTP/1.1",
                    "Host: bench",
                    "Connection: Upgrade",
                    "Upgrade: websocket",
                    "Sec-WebSocket-Version: 13",
                    f"Sec-WebSocket-Key: {b64encode(secrets.token_bytes(16)).decode()}",
                    f"Authorization: Bearer {self._token}",
                    "\r\n",
                )
            ).encode()
        )

    def data_received(self, data: bytes) -> None:
        """Read whole messages."""
        self._data += data
        if not self._is_open:
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 101 "), head
            self._is_open, self._data = True, rest
        while len(self._data) > 1:
            length, begin = self._data[1], 2
            if length == _EXTENDED:
                length, begin = int.from_bytes(self._data[2:4]), 4
            if len(self._data) < begin + length:
                return
            self._hear(self._data[begin : begin + length])
            self._data = self._data[begin + length :]

    def acknowledge(self) -> None:
        """Say how far it is."""
        if self._cursor is not None:
            said = b'{"action":"ack","payload":{"cursor":"%b"}}' % self._cursor
            # A mask of zeros is a mask: that it is to be unpredictable is for proxies (RFC 6455 §5.3). There is none.
            self._transport.write(bytes((0x81, 0x80 | len(said), 0, 0, 0, 0)) + said)

    def _hear(self, message: bytes) -> None:
        if message.startswith(b'{"action":"acked"'):
            Device.acked += 1
        elif message.startswith(b'{"action":"error"'):
            Device.failed += 1
        elif found := _CURSOR.search(message):
            self._cursor = found[1]
            if not self.begun.done():
                self.begun.set_result(None)


def _same(device: Device) -> Device:
    return device


async def main(port: int, clients: int, key: str) -> None:
    """Connect, and do what is told."""
    loop = asyncio.get_running_loop()
    devices: list[Device] = []
    for first in range(0, clients, _AT_ONCE):
        some = [Device(f"user-{number:06}", key) for number in range(first, min(first + _AT_ONCE, clients))]
        await asyncio.gather(*(loop.create_connection(partial(_same, device), "127.0.0.1", port) for device in some))
        await asyncio.gather(*(device.begun for device in some))
        devices += some
    reply()
    told = commands()
    while (command := await asyncio.to_thread(next, told, None)) is not None:
        Device.acked = Device.failed = 0
        await _acknowledge(devices, command["pace"], command["seconds"])
        reply(acked=Device.acked, failed=Device.failed, cpu=time.process_time())


async def _acknowledge(devices: Sequence[Device], pace: float, seconds: float) -> None:
    """Have them acknowledge one after the other, so many a second; wait a while for the last answers."""
    clock = asyncio.get_running_loop().time
    begin, said, total = clock(), 0, round(pace * seconds)
    while said < total or clock() < begin + seconds:
        while said < min(total, pace * (clock() - begin)):
            devices[said % len(devices)].acknowledge()
            said += 1
        await asyncio.sleep(_SLICE_SECONDS)
    until = clock() + _ANSWER_SECONDS
    while Device.acked + Device.failed < said and clock() < until:
        await asyncio.sleep(_SLICE_SECONDS)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), os.environ["KEY"]))
