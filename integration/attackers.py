"""Clients that mean harm, one connection each, and what each of them gets for it.

An attacker returns one line: the status that its request got, or ``closed`` or ``reset`` without one;
or, for a WebSocket, the close code with its reason. It goes on until the server has had enough, and
ends by itself when that never comes. All of it is for loopback.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from itertools import repeat
from typing import Final

from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

Attacker = Callable[[int], Awaitable[str]]

HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PATIENCE_SECONDS: Final = 60.0
"""How long an attacker goes on at most."""
DRIP_SECONDS: Final = 1.0
"""From one byte of a slow request to the next."""
STRANGER: Final = "127.0.0.2"
"""Another address of loopback: from there attackers come."""
_FRAMES: Final = 10_000
"""Frames that are written at a time."""
_MILLION: Final = 1_000_000


async def silent(port: int) -> str:
    """Connect and say nothing."""
    return await _request(port, iter(()))


async def dripping(port: int) -> str:
    """Send a request one byte a second, as Slowloris does."""
    return await _request(port, (HANDSHAKE[at : at + 1] for at in range(len(HANDSHAKE))))


async def verbose(port: int) -> str:
    """Send a request of ever more headers, without an end."""
    return await _request(port, repeat(HANDSHAKE[:-2] + b"X-Y: z\r\n" * 10_000, 1))


async def joining(port: int) -> str:
    """Connect, and stay for as long as it is let."""
    return await _request(port, iter((HANDSHAKE,)))


async def pinging(port: int) -> str:
    """Send a million pings."""
    return await _flood(port, Frame(Opcode.PING, b""))


async def fragmenting(port: int) -> str:
    """Send a message in a million fragments of one byte."""
    return await _flood(port, Frame(Opcode.CONT, b"x", fin=False), after=Frame(Opcode.TEXT, b"x", fin=False))


async def chattering(port: int) -> str:
    """Send a million messages."""
    return await _flood(port, Frame(Opcode.TEXT, b""))


async def shouting(port: int) -> str:
    """Send the largest messages that there may be, one after the other."""
    return await _flood(port, Frame(Opcode.BINARY, bytes(65_536)), at_once=1)


async def bursting(port: int) -> str:
    """Send a message that is too large."""
    return await _flood(port, Frame(Opcode.BINARY, bytes(65_537)), at_once=1)


async def saying(port: int, *frames: Frame) -> str:
    """Send some frames and a close at once, and no more; 1000 is the answer of a server that has taken them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(STRANGER, 0))
    with closing(writer):
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        goodbye = Frame(Opcode.CLOSE, Close(1000, "").serialize())
        writer.write(b"".join(frame.serialize(mask=True) for frame in (*frames, goodbye)))
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await _close_of(reader)


async def _request(port: int, pieces: Iterator[bytes]) -> str:
    """Send a request piece by piece; return the status of the answer, or how the connection ended without one."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(STRANGER, 0))
            with closing(writer):
                answer = asyncio.ensure_future(reader.readline())
                for piece in pieces:
                    writer.write(piece)
                    await asyncio.wait([answer], timeout=DRIP_SECONDS)
                    if answer.done():
                        break
                line = await answer
                return line.split()[1].decode() if line else "closed"
    except ConnectionError:
        return "reset"


async def _flood(port: int, frame: Frame, *, after: Frame | None = None, at_once: int = _FRAMES) -> str:
    """Send a million frames, as fast as they are taken; return how the session ended."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(STRANGER, 0))
            with closing(writer):
                writer.write(HANDSHAKE)
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 101 "):
                    return head.split()[1].decode()
                sending = asyncio.create_task(_send(writer, frame, after, at_once))
                try:
                    return await _close_of(reader)
                finally:
                    sending.cancel()
                    await asyncio.wait([sending])
    except ConnectionError:
        return "reset"


async def _send(writer: asyncio.StreamWriter, frame: Frame, after: Frame | None, at_once: int) -> None:
    if after is not None:
        writer.write(after.serialize(mask=True))
    # One mask is as good as another, and attackers save what they can.
    chunk = frame.serialize(mask=True) * at_once
    try:
        for _ in range(_MILLION // at_once):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        return


async def _close_of(reader: asyncio.StreamReader) -> str:
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=State.OPEN)
    try:
        while client.close_rcvd is None and (data := await reader.read(1 << 16)):
            client.receive_data(data)
    except ConnectionResetError:
        pass
    if client.close_rcvd is None:
        return "reset"
    return f"{client.close_rcvd.code} {client.close_rcvd.reason}".rstrip()
