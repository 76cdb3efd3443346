"""Positions that were acknowledged and are not stored: the newest of each device, until it is stored.

Laws:

* What is written was acknowledged. It moves forward only, but where a client was told that it cannot go on at what is
  stored: then its next position takes that one's place, and that of what the same session had acknowledged before. So
  does one that was acknowledged where nobody can go on at what is stored.
* A session is told that its positions are stored when they are, or when one that is further on is.
* What could not be written stays, and is written with what has come meanwhile.
* So many devices wait at most, :data:`edge.positions.device.DEVICES` of a subject; each session is known once.

Time is told, in seconds of any clock that never runs backwards; this module knows no store.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final, NamedTuple

from edge.positions.device import DEVICES, Device, Key
from edge.positions.store import Row

ROOM: Final = 50_000
"""How many devices may wait: some 25 MiB, and more than an edge has clients."""

Stored = Callable[[int, str], None]
"""Hears that all that a session has acknowledged up to a number is stored: the position that is."""


class Told(NamedTuple):
    """A session that is to be told that what it acknowledged up to ``number`` is stored."""

    stored: Stored
    number: int
    position: str

    def tell(self) -> None:
        """Tell it."""
        self.stored(self.number, self.position)


class _Entry:
    """What waits for one device; ``by`` is the session that acknowledged it, if it was one alone."""

    __slots__ = ("by", "position", "replaces", "since", "waiting")

    def __init__(self, by: Device | None, position: str, replaces: str, since: float) -> None:
        self.by = by
        self.position = position
        self.replaces = replaces
        self.since = since
        self.waiting: dict[Device, tuple[int, Stored]] = {}

    def take(self, by: Device | None, position: str, replaces: str) -> None:
        """Take a newer position in."""
        is_anew = replaces and by is not None and by is self.by
        self.position = position if is_anew else max(self.position, position)
        self.replaces = replaces or self.replaces
        self.by = by if by is self.by else None


class Pending:
    """The positions that wait; ``room`` is how many devices there may be of them."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._waiting: dict[Key, _Entry] = {}
        """The longest waiting first."""
        self._writing: dict[Key, _Entry] = {}
        self._devices: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many devices wait that are not being written."""
        return len(self._waiting)

    @property
    def devices(self) -> int:
        """How many devices have something that is not stored."""
        return len(self._waiting) + sum(key not in self._waiting for key in self._writing)

    def age(self, now: float) -> float:
        """Return for how long the first of them has waited; 0 where none does."""
        oldest = next(iter((self._writing or self._waiting).values()), None)
        return 0.0 if oldest is None else now - oldest.since

    def acknowledge(self, device: Device, position: str, number: int, stored: Stored, now: float) -> bool:
        """Take what a session has acknowledged, the so manieth time; False where too many devices wait."""
        if not self._has_room(device.key):
            return False
        entry = self._take(Row(device.key, position, device.take_refuted()), device, now)
        device.acknowledged = position
        entry.waiting[device] = number, stored
        return True

    def replace(self, row: Row, now: float) -> None:
        """Take a position again that was acknowledged, for the place of one that nobody can go on at."""
        if self._has_room(row.key):
            self._take(row, None, now)

    def leave(self, device: Device) -> bool:
        """Tell a session no more, since it has ended; return whether something waits of its device."""
        entries = [entries[device.key] for entries in (self._waiting, self._writing) if device.key in entries]
        for entry in entries:
            entry.waiting.pop(device, None)
        return bool(entries)

    def take(self, limit: int) -> list[Row]:
        """Return what is to be written now, of so many devices; :meth:`succeeded` or :meth:`failed` follows."""
        self._writing = {key: self._waiting[key] for key in islice(self._waiting, limit)}
        for key in self._writing:
            del self._waiting[key]
        return [Row(key, entry.position, entry.replaces) for key, entry in self._writing.items()]

    def succeeded(self, further: Mapping[Key, str]) -> list[Told]:
        """Note that it was written, but where something ``further`` on is stored; return who is to be told."""
        told: list[Told] = []
        for key, entry in self._writing.items():
            position, is_own = further.get(key, entry.position), key not in further
            for device, (number, stored) in entry.waiting.items():
                device.note_stored(position, is_own=is_own)
                told.append(Told(stored, number, position))
            newer = self._waiting.get(key)
            if newer is None:
                self._forget(key.subject)
            elif newer.replaces and newer.by is entry.by is not None and is_own:
                # The session was told that it cannot go on while what it had acknowledged before was being stored.
                newer.replaces = position
        self._writing = {}
        return told

    def failed(self) -> None:
        """Note that nothing of it may have been written: it waits again, before all others."""
        again = self._writing
        for key, entry in again.items():
            newer = self._waiting.pop(key, None)
            if newer is not None:
                entry.take(newer.by, newer.position, newer.replaces)
                entry.waiting |= newer.waiting
        self._waiting, self._writing = again | self._waiting, {}

    def newest(self, key: Key, stored: str) -> str:
        """Return where a device goes on of which ``stored`` was read, or nothing: that, or what waits."""
        for entries in (self._writing, self._waiting):
            entry = entries.get(key)
            if entry is not None and (entry.position > stored or entry.replaces == stored):
                stored = entry.position
        return stored

    def _take(self, row: Row, by: Device | None, now: float) -> _Entry:
        entry = self._waiting.get(row.key)
        if entry is None:
            entry = self._waiting[row.key] = _Entry(by, row.position, row.replaces, now)
            self._devices[row.key.subject] += row.key not in self._writing
        else:
            entry.take(by, row.position, row.replaces)
        return entry

    def _has_room(self, key: Key) -> bool:
        if key in self._waiting or key in self._writing:
            return True
        return len(self._waiting) + len(self._writing) < self._room and self._devices[key.subject] < DEVICES

    def _forget(self, subject: str) -> None:
        self._devices[subject] -= 1
        if not self._devices[subject]:
            del self._devices[subject]
