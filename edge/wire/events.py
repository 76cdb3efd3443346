"""What a client says, once it is understood, and what it may not say (RFC 6455 §5.3, §7.4 and §8.1)."""

from typing import Final, NamedTuple

from edge.wire.allowance import Violation
from edge.wire.closing import Disconnect

MASK_BYTES: Final = 4
_CODE_BYTES: Final = 2
# The codes that may be sent: those of RFC 6455 §7.4.1 and IANA's registry, and the ranges of §7.4.2.
_CODES: Final = frozenset((*range(1000, 1004), *range(1007, 1015)))
_OWN_CODES: Final = range(3000, 5000)


class Message(NamedTuple):
    """A whole message, inflated; UTF-8 where ``is_text``."""

    data: bytes
    is_text: bool


class Ping(NamedTuple):
    """A ping, to be answered with its payload."""

    payload: bytes


class Pong(NamedTuple):
    """A pong, asked for or not."""

    payload: bytes


class Close(NamedTuple):
    """The client closes; without a code when it says none."""

    code: int | None
    reason: str


Event = Message | Ping | Pong | Close | Violation


class Broken(Exception):
    """The client has broken a rule; raised while reading, and an event in the end."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation)
        self.violation = violation


def broken(reason: str, code: int = 1002) -> Broken:
    """Return what is raised for a broken rule that is no limit."""
    return Broken(Violation(None, Disconnect(code, reason)))


def no_utf8() -> Broken:
    """Return what is raised for text that is not UTF-8."""
    return broken("the text is not UTF-8", 1007)


def unmasked(data: bytes, mask: bytes) -> bytes:
    """Take off a mask (RFC 6455 §5.3), of which the first byte is for the first of ``data``."""
    size = len(data)
    key = (mask * (size // MASK_BYTES + 1))[:size]
    return (int.from_bytes(data) ^ int.from_bytes(key)).to_bytes(size)


def rest_of_text(text: bytes) -> bytes:
    """Return the bytes at the end that are the beginning of a character; raises :class:`Broken` for no UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        # Of all errors this one says that what there is would be right.
        if error.reason != "unexpected end of data":
            raise no_utf8() from None
        return text[error.start :]
    return b""


def close_of(payload: bytes) -> Close:
    """Read a close frame's payload; raises :class:`Broken` for one that may not be sent."""
    if not payload:
        return Close(None, "")
    code = int.from_bytes(payload[:_CODE_BYTES])
    if len(payload) < _CODE_BYTES or not (code in _CODES or code in _OWN_CODES):
        raise broken("a close code that may not be sent")
    try:
        return Close(code, payload[_CODE_BYTES:].decode())
    except UnicodeDecodeError:
        raise no_utf8() from None
