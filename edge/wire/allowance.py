"""Limits what one client may send.

Law: in any t seconds at most the rate times (t + ``BURST_SECONDS``) of each kind are accepted from a client; the first
breach ends its session. Time is an argument, in seconds of any monotonic clock.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from edge.wire.closing import Disconnect

BURST_SECONDS: Final = 10.0
"""How many seconds' worth may come at once: a client sends what it has collected while its link hung."""

# Above the rounding error of thousands of fractions added to the seconds since the machine's start.
_ROUNDING: Final = 1e-6

_CONTINUATION: Final = 0x0
_DATA: Final = frozenset((0x1, 0x2))
_CLOSE: Final = 0x8


class Violation(NamedTuple):
    """A breach: the limit's metric label, None for a broken rule that is no limit; and how the session ends."""

    limit: str | None
    disconnect: Disconnect


EARLY: Final = Violation("early", Disconnect(1008, "sent something before the handshake was answered"))
MESSAGES: Final = Violation("messages", Disconnect(1008, "too many messages a second"))
BYTES: Final = Violation("bytes", Disconnect(1008, "too many bytes a second"))
PINGS: Final = Violation("pings", Disconnect(1008, "too many pings a second"))
SIZE: Final = Violation("message", Disconnect(1009, "a message of too many bytes"))
FRAGMENTS: Final = Violation("fragments", Disconnect(1008, "a message of too many fragments"))


@dataclass(frozen=True, slots=True)
class Traffic:
    """The limits on one client: messages, bytes, and pings with pongs a second; bytes and frames of one message."""

    messages: float
    bytes: float
    pings: float
    message_bytes: int
    fragments: int


class Allowance:
    """Counts what one client sends against its limits; ``message_bytes`` takes the place of the limit on a message.

    Each rate is kept as one number: the instant at which everything received would have arrived at exactly that rate
    (the generic cell rate algorithm, ITU-T I.371).
    """

    __slots__ = ("_bytes", "_fragments", "_message_bytes", "_messages", "_pings", "_size", "_traffic")

    def __init__(self, traffic: Traffic, *, message_bytes: int | None = None) -> None:
        self._traffic = traffic
        self._message_bytes = message_bytes or traffic.message_bytes
        self._messages = self._bytes = self._pings = 0.0
        self._fragments = self._size = 0

    def receive(self, size: int, now: float) -> int:
        """Count ``size`` received bytes, frame heads included; return how many of them may be read."""
        due = max(self._bytes, now)
        self._bytes = due + size / self._traffic.bytes
        if not _is_ahead(self._bytes, now):
            return size
        return max(0, int((now + BURST_SECONDS - due + _ROUNDING) * self._traffic.bytes))

    def frame(self, opcode: int, length: int, now: float) -> Violation | None:
        """Count a frame by its opcode (RFC 6455 section 11.8), a known one; return the breach if it is one."""
        if opcode == _CONTINUATION or opcode in _DATA:
            return self._part(opcode, length, now)
        if opcode == _CLOSE:
            return None
        # Pongs count, too: the edge asks for one in many seconds.
        self._pings = max(self._pings, now) + 1 / self._traffic.pings
        return PINGS if _is_ahead(self._pings, now) else None

    def _part(self, opcode: int, length: int, now: float) -> Violation | None:
        if opcode in _DATA:
            self._fragments = self._size = 0
            self._messages = max(self._messages, now) + 1 / self._traffic.messages
            if _is_ahead(self._messages, now):
                return MESSAGES
        self._fragments += 1
        self._size += length
        if self._size > self._message_bytes:
            return SIZE
        return FRAGMENTS if self._fragments > self._traffic.fragments else None


def _is_ahead(due: float, now: float) -> bool:
    """Tell whether more has been received than may come at once."""
    return due - now > BURST_SECONDS + _ROUNDING
