"""How much one client may send.

Law: in any stretch of t seconds a client gets through at most its rate times (t + ``BURST_SECONDS``) of anything; the
first breach ends its session. Time is told, in seconds of any clock that never runs backwards.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from edge.wire.closing import Disconnect

BURST_SECONDS: Final = 10.0
"""So many seconds' worth may come at once: a client whose link hung for a moment sends what it has collected."""

# What adding up thousands of fractions to the seconds since the machine's start may be off by; times any rate, nothing.
_ROUNDING: Final = 1e-6

_CONTINUATION: Final = 0x0
_DATA: Final = frozenset((0x1, 0x2))
_CLOSE: Final = 0x8


class Violation(NamedTuple):
    """What a client may not do: the limit's name in the metrics, None when it is no limit; and how its session ends."""

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
    """What one client may send a second, and how many bytes and frames one message may be made of."""

    messages: float
    bytes: float
    pings: float
    message_bytes: int
    fragments: int


class Allowance:
    """What one client may still send.

    Each rate is kept as the instant at which all that came would have come at that rate (the generic
    cell rate algorithm, ITU-T I.371): one number each, and nothing that has to be refilled.
    """

    __slots__ = ("_bytes", "_fragments", "_messages", "_pings", "_size", "_traffic")

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._messages = self._bytes = self._pings = 0.0
        self._fragments = self._size = 0

    def receive(self, size: int, now: float) -> int:
        """Count bytes as they come over the wire, those of headers included; return how many of them may be read."""
        due = max(self._bytes, now)
        self._bytes = due + size / self._traffic.bytes
        if not _is_ahead(self._bytes, now):
            return size
        return max(0, int((now + BURST_SECONDS - due + _ROUNDING) * self._traffic.bytes))

    def frame(self, opcode: int, length: int, now: float) -> Violation | None:
        """Count a frame (RFC 6455 section 11.8). Of an opcode that nobody knows the reader makes an end."""
        if opcode == _CONTINUATION or opcode in _DATA:
            return self._part(opcode, length, now)
        if opcode == _CLOSE:
            return None
        # A pong, too: those that we ask for are one in many seconds.
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
        if self._size > self._traffic.message_bytes:
            return SIZE
        return FRAGMENTS if self._fragments > self._traffic.fragments else None


def _is_ahead(due: float, now: float) -> bool:
    """Tell whether more came than may come at once."""
    return due - now > BURST_SECONDS + _ROUNDING
