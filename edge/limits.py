"""What a client may take of the edge: connections, and what it sends.

Laws: of the connections none is counted twice or forgotten; in any stretch of t seconds a client
gets through at most its rate times (t + ``BURST_SECONDS``) of anything; the first breach ends a
session. Time is told, in seconds of any clock that never runs backwards.
"""

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from edge.session import Disconnect

BURST_SECONDS: Final = 10.0
"""So many seconds' worth may come at once: a client whose link hung for a moment sends what it has collected."""

# What adding up thousands of fractions to the seconds since the machine's start may be off by; times any rate, nothing.
_ROUNDING: Final = 1e-6

SPARE: Final = 64
"""Connections above the limit that are let in to be told so; they also keep the probes answered when all is full."""
SPARE_PER_ADDRESS: Final = 4
"""Of them one address may hold so many, lest it holds them all; a browser opens six at most."""

_CONTINUATION: Final = 0x0
_DATA: Final = frozenset((0x1, 0x2))
_CLOSE: Final = 0x8


class Standing(Enum):
    """How a connection stands to the limits; the value is the limit's name in the metrics."""

    ADMITTED = "admitted"
    FULL = "connections"
    CROWDED = "address"


class Place:
    """A connection as :class:`Census` counts it."""

    __slots__ = ("address", "standing")

    def __init__(self, address: str | None, standing: Standing) -> None:
        self.address = address
        """Whose it is; None while that is not known, since a proxy holds it."""
        self.standing = standing


class _Count:
    """How many connections there are, in all and of each address."""

    __slots__ = ("of", "total")

    def __init__(self) -> None:
        self.total = 0
        self.of: Counter[str | None] = Counter()

    def add(self, address: str | None) -> None:
        self.total += 1
        self.of[address] += 1

    def remove(self, address: str | None) -> None:
        self.total -= 1
        self.of[address] -= 1
        if not self.of[address]:
            # An address without connections takes no memory.
            del self.of[address]


class Census:
    """Counts connections, in all and by address; ``per_address`` is 0 for no limit."""

    def __init__(self, *, total: int, per_address: int) -> None:
        self.total = total
        self._per_address = per_address
        self._admitted = _Count()
        self._spare = _Count()
        self.turned_away: Counter[Standing] = Counter()
        """How many were above a limit, by the limit."""

    @property
    def connections(self) -> int:
        """How many there are now, with those that are let in only to be told that there are too many."""
        return self._admitted.total + self._spare.total

    def arrive(self, address: str | None) -> Place | None:
        """Count a connection; None when there is no room even to tell it so."""
        standing = self._standing(address)
        if standing is Standing.ADMITTED:
            self._admitted.add(address)
            return Place(address, standing)
        self.turned_away[standing] += 1
        is_greedy = address is not None and self._spare.of[address] >= SPARE_PER_ADDRESS
        if is_greedy or self._spare.total >= SPARE:
            return None
        self._spare.add(address)
        return Place(address, standing)

    def name(self, place: Place, address: str) -> Standing:
        """Say whose connection it is that a proxy holds; return how it stands then."""
        if place.standing is not Standing.ADMITTED or place.address == address:
            return place.standing
        if self._is_crowded(address):
            self.turned_away[Standing.CROWDED] += 1
            return Standing.CROWDED
        self._admitted.remove(place.address)
        place.address = address
        self._admitted.add(address)
        return place.standing

    def leave(self, place: Place) -> None:
        """Forget a connection."""
        (self._admitted if place.standing is Standing.ADMITTED else self._spare).remove(place.address)

    def _standing(self, address: str | None) -> Standing:
        if self._admitted.total >= self.total:
            return Standing.FULL
        return Standing.CROWDED if self._is_crowded(address) else Standing.ADMITTED

    def _is_crowded(self, address: str | None) -> bool:
        return bool(self._per_address) and address is not None and self._admitted.of[address] >= self._per_address


class Breach(NamedTuple):
    """A client has sent more than it may: the limit's name in the metrics, and how that ends its session."""

    limit: str
    disconnect: Disconnect


EARLY: Final = Breach("early", Disconnect(1008, "sent something before the handshake was answered"))
MESSAGES: Final = Breach("messages", Disconnect(1008, "too many messages a second"))
BYTES: Final = Breach("bytes", Disconnect(1008, "too many bytes a second"))
PINGS: Final = Breach("pings", Disconnect(1008, "too many pings a second"))
SIZE: Final = Breach("message", Disconnect(1009, "a message of too many bytes"))
FRAGMENTS: Final = Breach("fragments", Disconnect(1008, "a message of too many fragments"))


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

    def receive(self, size: int, now: float) -> Breach | None:
        """Count bytes as they come over the wire, those of headers included."""
        self._bytes = max(self._bytes, now) + size / self._traffic.bytes
        return BYTES if _is_ahead(self._bytes, now) else None

    def frame(self, opcode: int, length: int, now: float) -> Breach | None:
        """Count a frame (RFC 6455 section 11.8). Of an opcode that nobody knows the parser makes an end."""
        if opcode == _CONTINUATION or opcode in _DATA:
            return self._part(opcode, length, now)
        if opcode == _CLOSE:
            return None
        # A pong, too: those that we ask for are one in many seconds.
        self._pings = max(self._pings, now) + 1 / self._traffic.pings
        return PINGS if _is_ahead(self._pings, now) else None

    def _part(self, opcode: int, length: int, now: float) -> Breach | None:
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
