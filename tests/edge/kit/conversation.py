"""One client that says exactly what it is told to say, and what it hears: both ends by the letter."""

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple

from websockets.frames import Frame, Opcode

from tests.strict import Handshake

CUT_OFF: Final = 1006
"""What a client calls an end without a close frame (RFC 6455 §7.1.5)."""
_STILL_THERE: Final = b"still there?"


class Heard(NamedTuple):
    """The close code, None when the connection is still open; and the payloads of the pongs before that."""

    code: int | None
    pongs: tuple[bytes, ...] = ()


def masked(opcode: int, payload: bytes = b"", *, first_byte: int = 0x80) -> bytes:
    """Make a frame as a client must send it; its first byte is ``first_byte`` and the opcode."""
    header = bytearray(Frame(Opcode.TEXT, payload).serialize(mask=True))
    header[0] = first_byte | opcode
    return bytes(header)


async def converse(port: int, pieces: Iterable[bytes]) -> Heard:
    """Open a WebSocket, send the pieces one by one while it is open, and ask whether it still is."""
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.setblocking(False)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        handshake = Handshake()
        await loop.sock_sendall(plain, handshake.request)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await loop.sock_recv(plain, 1)
        server = handshake.accept(head)
        # Whoever sends after the end is told so; what was received before can still be read.
        with suppress(ConnectionResetError, BrokenPipeError):
            for piece in (*pieces, masked(Opcode.PING, _STILL_THERE)):
                await loop.sock_sendall(plain, piece)
                # The server, on the same loop, hears of it in the next turn and reads in the one after.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        pongs: list[bytes] = []
        with suppress(ConnectionResetError):
            while data := await loop.sock_recv(plain, 1 << 16):
                pongs += [bytes(frame.data) for frame in server.feed(data) if frame.opcode is Opcode.PONG]
                if _STILL_THERE in pongs:
                    return Heard(None, tuple(pongs[:-1]))
        return Heard(CUT_OFF if server.close is None else server.close.code, tuple(pongs))
