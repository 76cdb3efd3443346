"""The events that a client's bytes are read into, and the rules for their payloads (RFC 6455 §5.3, §7.4, §8.1)."""

from typing import Final, NamedTuple

from edge.wire.allowance import Violation
from edge.wire.closing import Disconnect

MASK_BYTES: Final = 4
_CODE_BYTES: Final = 2
# The codes that may be sent: those of RFC 6455 §7.4.1 and IANA's registry, and the ranges of §7.4.2.
_CODES: Final = frozenset((*range(1000, 1004), *range(1007, 1015)))
_OWN_CODES: Final = range(3000, 5000)


class Message(NamedTuple):
    """A complete message, inflated; UTF-8 where ``is_text``."""

    data: bytes
    is_text: bool


class TooBig(NamedTuple):
    """A complete message that was too large to be kept, from a client that is told so."""

    is_text: bool


class Ping(NamedTuple):
    """A ping; the answer is a pong with its payload."""

    payload: bytes


class Pong(NamedTuple):
    """A pong, solicited or not."""

    payload: bytes


class Close(NamedTuple):
    """The client closes; ``code`` is None when the frame has none."""

    code: int | None
    reason: str


Event = Message | TooBig | Ping | Pong | Close | Violation


class Broken(Exception):
    """Raised while reading when the client breaks a rule; the reader turns it into its event."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation)
        self.violation = violation


def broken(reason: str, code: int = 1002) -> Broken:
    """Make the exception for a broken rule that is no limit."""
    return Broken(Violation(None, Disconnect(code, reason)))


def no_utf8() -> Broken:
    """Make the exception for text that is not UTF-8."""
    return broken("the text is not UTF-8", 1007)


def unmasked(data: bytes, mask: bytes) -> bytes:
    """Remove a mask (RFC 6455 §5.3); its first byte applies to the first byte of ``data``."""
    size = len(data)
    key = (mask * (size // MASK_BYTES + 1))[:size]
    return (int.from_bytes(data) ^ int.from_bytes(key)).to_bytes(size)


def rest_of_text(text: bytes) -> bytes:
    """Return the incomplete character at the end of ``text``; raise :class:`Broken` where it is not UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        # This error alone says that the bytes so far are valid.
        if error.reason != "unexpected end of data":
            raise no_utf8() from None
        return text[error.start :]
    return b""


def close_of(payload: bytes) -> Close:
    """Read a close frame's payload; raise :class:`Broken` for a code that may not be sent."""
    if not payload:
        return Close(None, "")
    code = int.from_bytes(payload[:_CODE_BYTES])
    if len(payload) < _CODE_BYTES or not (code in _CODES or code in _OWN_CODES):
        raise broken("a close code that may not be sent")
    try:
        return Close(code, payload[_CODE_BYTES:].decode())
    except UnicodeDecodeError:
        raise no_utf8() from None
