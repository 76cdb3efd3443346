"""How many connections there may be, in all and from one address.

Law: none is counted twice or forgotten.
"""

from collections import Counter
from enum import Enum
from typing import Final

SPARE: Final = 64
"""Connections above the limit that are let in to be told so; they also keep the probes answered when all is full."""
SPARE_PER_ADDRESS: Final = 4
"""Of them one address may hold so many, lest it holds them all; a browser opens six at most."""


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
