"""The head of a frame that a client sends: where its payload begins and how long that is, or what is wrong with it.

Laws: every frame is masked (RFC 6455 §5.1), lengths are as short as they can be (§5.2), control frames are whole and
short (§5.5), a message ends before the next one begins (§5.4), and of a message's frames the first alone may say that
it is compressed (RFC 7692 §6). What is wrong is said as soon as the byte that shows it is here.

This module keeps nothing between two frames.
"""

from typing import Final, NamedTuple

from edge.wire.events import MASK_BYTES, broken

FIN: Final = 0x80
RSV1: Final = 0x40
OPCODE: Final = 0x0F
CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
"""Opcodes from this one on are those of control frames (§5.5)."""
PING: Final = 0x9
PONG: Final = 0xA

_OPCODES: Final = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_RSV: Final = 0x70
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_SHORT: Final = 125
_LENGTH_16: Final = 126
_MEDIUM: Final = 0xFFFF
_LONG: Final = (1 << 63) - 1
_HEAD_BYTES: Final = 2


class Head(NamedTuple):
    """Where a frame's payload begins, behind its mask, and how many bytes it has."""

    begin: int
    length: int


def head_of(data: bytes, at: int, *, is_deflated: bool, is_message_open: bool) -> Head | None:
    """Read a frame's head; None when it is incomplete. Raises ``Broken`` for one that there may not be."""
    if len(data) - at < _HEAD_BYTES:
        return None
    first, second = data[at], data[at + 1]
    length = second & _LENGTH
    _check(first, second, is_deflated=is_deflated, is_message_open=is_message_open)
    size = 0 if length <= _SHORT else 2 if length == _LENGTH_16 else 8
    begin = at + _HEAD_BYTES + size + MASK_BYTES
    if size:
        if len(data) < begin - MASK_BYTES:
            return None
        length = int.from_bytes(data[at + _HEAD_BYTES : at + _HEAD_BYTES + size])
        if length <= (_SHORT if size == 2 else _MEDIUM):  # noqa: PLR2004 - the length in 16 bits
            raise broken("a length in more bytes than it takes")
        if length > _LONG:
            raise broken("a length of more than 63 bits")
    return None if len(data) < begin else Head(begin, length)


def _check(first: int, second: int, *, is_deflated: bool, is_message_open: bool) -> None:
    opcode = first & OPCODE
    if opcode not in _OPCODES:
        raise broken("an opcode that is reserved")
    # RFC 7692 §6: of a message's frames only the first one says whether it is compressed.
    allowed = RSV1 if is_deflated and opcode in (TEXT, BINARY) else 0
    if first & _RSV & ~allowed:
        raise broken("a reserved bit that was not agreed on")
    if not second & _MASKED:
        raise broken("a frame that is not masked")
    if opcode >= CLOSE:
        if not first & FIN:
            raise broken("a control frame in fragments")
        if second & _LENGTH > _SHORT:
            raise broken("a control frame of more than 125 bytes")
    elif (opcode == CONTINUATION) != is_message_open:
        raise broken("a message must end before the next one begins")
