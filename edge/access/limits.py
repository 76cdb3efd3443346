"""Counts connections against their limits, in all, from one address and of one subject.

Law: each connection is counted exactly once, from its arrival until it leaves.
"""

from collections import Counter
from enum import Enum
from typing import Final

SPARE: Final = 64
"""How many connections above the limit are accepted to be answered 503; probes among them are answered, too."""
SPARE_PER_ADDRESS: Final = 4
"""How many of these one address may hold, so that no address holds them all; a browser opens six at most."""


class Admission(Enum):
    """Whether a connection is within the limits, and which limit it is above; the value is the limit's metric label."""

    ADMITTED = "admitted"
    FULL = "connections"
    CROWDED = "address"


class Slot:
    """One connection in the counts of :class:`Census`."""

    __slots__ = ("address", "admission", "subject")

    def __init__(self, address: str | None, admission: Admission) -> None:
        self.address = address
        """The client's address block; None while it is unknown, since the peer is a proxy."""
        self.admission = admission
        self.subject: str | None = None
        """Who has signed in on it, where that is counted."""


class _Count:
    """Numbers of connections: ``total``, and ``of`` each address."""

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
    """Counts connections; ``total``, ``per_address`` and ``per_subject`` are the limits, 0 for one being none."""

    def __init__(self, *, total: int, per_address: int, per_subject: int = 0) -> None:
        self.total = total
        self._per_address = per_address
        self._per_subject = per_subject
        self._subjects: Counter[str] = Counter()
        self._admitted = _Count()
        self._spare = _Count()
        self.turned_away: Counter[Admission] = Counter()
        """Connections that arrived above a limit, by that limit."""

    @property
    def connections(self) -> int:
        """Open connections, including those that are accepted only to be answered 503."""
        return self._admitted.total + self._spare.total

    def arrive(self, address: str | None) -> Slot | None:
        """Count a new connection; return None when it is to be closed without an answer."""
        admission = self._admission_of(address)
        if admission is Admission.ADMITTED:
            self._admitted.add(address)
            return Slot(address, admission)
        self.turned_away[admission] += 1
        is_greedy = address is not None and self._spare.of[address] >= SPARE_PER_ADDRESS
        if is_greedy or self._spare.total >= SPARE:
            return None
        self._spare.add(address)
        return Slot(address, admission)

    def identify(self, slot: Slot, address: str) -> Admission:
        """Count a proxy's connection under its client's address; return whether it is within that address's limit."""
        if slot.admission is not Admission.ADMITTED or slot.address == address:
            return slot.admission
        if self._is_crowded(address):
            self.turned_away[Admission.CROWDED] += 1
            return Admission.CROWDED
        self._admitted.remove(slot.address)
        slot.address = address
        self._admitted.add(address)
        return slot.admission

    def sign_in(self, slot: Slot, subject: str) -> bool:
        """Count a connection as its subject's, and no longer as another's; tell whether that has room for it."""
        if not self._per_subject or slot.subject == subject:
            return True
        self.sign_out(slot)
        if self._subjects[subject] >= self._per_subject:
            return False
        slot.subject = subject
        self._subjects[subject] += 1
        return True

    def sign_out(self, slot: Slot) -> None:
        """Stop counting a connection as somebody's."""
        if slot.subject is not None:
            self._subjects[slot.subject] -= 1
            if not self._subjects[slot.subject]:
                # A subject without connections takes no memory.
                del self._subjects[slot.subject]
            slot.subject = None

    def leave(self, slot: Slot) -> None:
        """Stop counting a connection."""
        self.sign_out(slot)
        (self._admitted if slot.admission is Admission.ADMITTED else self._spare).remove(slot.address)

    def _admission_of(self, address: str | None) -> Admission:
        if self._admitted.total >= self.total:
            return Admission.FULL
        return Admission.CROWDED if self._is_crowded(address) else Admission.ADMITTED

    def _is_crowded(self, address: str | None) -> bool:
        return bool(self._per_address) and address is not None and self._admitted.of[address] >= self._per_address
