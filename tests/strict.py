"""What a server sends, read to the letter, by a parser that is not ours: the one of ``websockets``.

What that parser lets pass from a server is refused here. By RFC 6455: a length in more bytes than it takes (§5.2),
text that is not UTF-8 (§8.1), anything after a close (§5.5.1), a close code that is the client's (§7.4.1). By
docs/protocol.md: everything but whole text messages and control frames. The parser itself refuses masks (§5.1),
reserved bits and opcodes (§5.2), control frames that are long or fragmented (§5.5) and close codes that may not be
sent (§7.4).
"""

import struct
from collections.abc import Generator, Sequence
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

_HEAD_END: Final = b"\r\n\r\n"
_SHORT_LIMIT: Final = 126
_MEDIUM_LIMIT: Final = 1 << 16


class Broken(AssertionError):
    """The server broke a rule."""


class _Wire(Extension):
    """Sees each frame as it was on the wire, before the extensions that were negotiated change it."""

    length = 0

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:  # noqa: ARG002 - the port's
        self.length = len(frame.data)
        return frame


class Reader:
    """Reads what follows a 101. After :class:`Broken` there is nothing more to be had of it."""

    def __init__(self, extensions: Sequence[Extension] = ()) -> None:
        self._wire = _Wire()
        # The last one is the first to see a frame.
        self._extensions = [*map(_fresh, extensions), self._wire]
        self._unread = bytearray()
        self._taken = 0
        self._frames: list[Frame] = []
        self.close: Close | None = None
        """How the server closed, if it has."""
        self._parser = self._parse()
        next(self._parser)

    def feed(self, data: bytes) -> list[Frame]:
        """Take what was received; return the frames that it completes."""
        self._unread += data
        try:
            next(self._parser)
        except (ProtocolError, PayloadTooBig, UnicodeDecodeError) as error:
            raise Broken(f"{error}: {bytes(self._unread[:20])!r}") from error
        frames, self._frames = self._frames, []
        return frames

    def end(self) -> None:
        """Hear that no more will come; what was begun must be complete."""
        if self._taken or self._unread:
            raise Broken(f"the connection ended within a frame, of which {self._taken + len(self._unread)} bytes came")

    def _parse(self) -> Generator[None, None, None]:
        while True:
            frame = yield from Frame.parse(self._exactly, mask=False, extensions=self._extensions)
            self._check(frame)
            self._frames.append(frame)
            self._taken = 0

    def _exactly(self, count: int) -> Generator[None, None, bytes]:
        while len(self._unread) < count:
            yield
        data = bytes(self._unread[:count])
        del self._unread[:count]
        self._taken += count
        return data

    def _check(self, frame: Frame) -> None:
        if self.close is not None:
            raise Broken(f"a frame after the close: {frame}")
        if self._taken != _header_size(self._wire.length) + self._wire.length:
            raise Broken(f"a length of {self._wire.length} that takes more bytes than it needs")
        if not frame.fin or frame.opcode not in {Opcode.TEXT, Opcode.PING, Opcode.PONG, Opcode.CLOSE}:
            raise Broken(f"a frame as the edge never sends it: {frame}")
        if frame.opcode is Opcode.TEXT:
            bytes(frame.data).decode()
        elif frame.opcode is Opcode.CLOSE:
            self.close = Close.parse(frame.data)
            if self.close.code == CloseCode.MANDATORY_EXTENSION:
                raise Broken("a close code that only clients use")


def _header_size(length: int) -> int:
    """Return how many bytes precede a payload, at least and at most (RFC 6455 §5.2)."""
    if length < _SHORT_LIMIT:
        return struct.calcsize("!BB")
    return struct.calcsize("!BBH" if length < _MEDIUM_LIMIT else "!BBQ")


def _fresh(extension: Extension) -> Extension:
    """Return the extension as it was before the first frame: the client's own keeps a state."""
    assert isinstance(extension, PerMessageDeflate)
    return PerMessageDeflate(
        extension.remote_no_context_takeover,
        extension.local_no_context_takeover,
        extension.remote_max_window_bits,
        extension.local_max_window_bits,
        extension.compress_settings,
    )


class Handshake:
    """An opening handshake for a plain socket: what to send, and what of the answer is by the rules."""

    def __init__(self, target: str = "/") -> None:
        self._client = ClientProtocol(parse_uri(f"ws://localhost{target}"))
        self._client.send_request(self._client.connect())
        [self.request] = self._client.data_to_send()
        """The request's bytes."""

    def accept(self, head: bytes) -> Reader:
        """Take the answer, up to the empty line; return the reader of what follows."""
        assert head.endswith(_HEAD_END)
        self._client.receive_data(head)
        if self._client.state is not State.OPEN:
            raise Broken(f"no handshake: {head!r}") from self._client.handshake_exc
        return Reader(self._client.extensions)


class StrictConnection(ClientConnection):
    """A client of ``websockets`` that reads everything a second time, strictly, and raises when it is closed."""

    def __init__(self, protocol: ClientProtocol, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        self._head = bytearray()
        self._reader: Reader | None = None
        self._broken: Broken | None = None

    def data_received(self, data: bytes) -> None:
        """Let the library have it first: from then on it knows what was negotiated."""
        super().data_received(data)
        if self._broken is None:
            try:
                self._read(data)
            except Broken as broken:
                # Raised in here it would only be logged.
                self._broken = broken

    def _read(self, data: bytes) -> None:
        if self._reader is None:
            self._head += data
            _, end, rest = self._head.partition(_HEAD_END)
            if not end or self.protocol.state is State.CONNECTING:
                return
            self._reader = Reader(self.protocol.extensions)
            data = bytes(rest)
        self._reader.feed(data)

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close, and say whether all was by the rules."""
        await super().close(code, reason)
        if self._broken is not None:
            raise self._broken
