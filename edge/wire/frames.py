"""WebSocket frames as a server sends them.

A server's frame is never masked (RFC 6455 §5.1), ours is never fragmented, and so it is the
same bytes for every client: it is made once and shared. This module knows neither clients nor the log.
"""

from struct import Struct
from typing import Final

# RFC 6455 §5.2: the first byte is FIN and the opcode, the second the length or where to find it.
_TEXT: Final = 0x81
# With RSV1: the message is compressed (RFC 7692 §6).
_DEFLATED: Final = 0xC1
_CLOSE: Final = 0x88
_PING: Final = 0x89
_PONG: Final = 0x8A
_SHORT: Final = Struct("!BB")
_MEDIUM: Final = Struct("!BBH")
_LONG: Final = Struct("!BBQ")
_MEDIUM_MARK: Final = 126
_LONG_MARK: Final = 127
_MEDIUM_LIMIT: Final = 1 << 16

PING: Final = _SHORT.pack(_PING, 0)
"""A ping without a payload: whoever answers is alive, and we need to know no more."""


def close_frame(code: int | None, reason: str = "") -> bytes:
    """Frame a close, without a code for None; the reason is at most 123 bytes (RFC 6455 section 5.5.1)."""
    payload = b"" if code is None else code.to_bytes(2) + reason.encode()
    return _SHORT.pack(_CLOSE, len(payload)) + payload


def pong_frame(payload: bytes) -> bytes:
    """Frame the answer to a ping, of at most 125 bytes."""
    return _SHORT.pack(_PONG, len(payload)) + payload


def text_frame(payload: bytes) -> bytes:
    """Frame ``payload``, which is valid UTF-8, as one text message."""
    return _frame(_TEXT, payload)


def deflated_frame(payload: bytes) -> bytes:
    """Frame ``payload``, which is valid UTF-8 once it is inflated, as one text message."""
    return _frame(_DEFLATED, payload)


def _frame(first: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < _MEDIUM_MARK:
        return _SHORT.pack(first, length) + payload
    if length < _MEDIUM_LIMIT:
        return _MEDIUM.pack(first, _MEDIUM_MARK, length) + payload
    return _LONG.pack(first, _LONG_MARK, length) + payload
