"""Which publications of the feed repeat one that the records before already had.

Law: a key ``(action, id)`` is a repeat when it occurs earlier in the same record, or when the newest record before that
has it, shown or not, is one of the ``reach`` before (by offset) and at most ``age`` older (by Kafka's timestamp). So
the decision depends on nothing but the raw records that are that near and that young, and everybody who has read them
decides alike, wherever he began. On a slow feed, where retention leaves fewer than ``reach`` records, those are enough
that are at most ``age`` older.

Memory is one entry of a table and one of a list for each key of the last ``reach`` records: :attr:`Repeats.size`.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from streams.contract import CREATED, Millis, Offset, Publication

Key = int | tuple[str, int]

# By sys.getsizeof on CPython 3.11: a table's entry at its usual filling, an id and an offset; a reference in a list of
# keys; such a list with its offset. Keys that are pairs are rare, and cost more.
_ENTRY_BYTES: Final = 150
_REFERENCE_BYTES: Final = 8
_RECORD_BYTES: Final = 300

DAY: Final = Millis(86_400_000)
"""A day in milliseconds: how much older a record may be that makes repeats, unless set otherwise."""
NO_TIME: Final = Millis(0)


def growth(posts: int) -> int:
    """Return by how much the table grows at most with a record of so many posts, in bytes."""
    return (_ENTRY_BYTES + _REFERENCE_BYTES) * posts + _RECORD_BYTES


def _key(publication: Publication) -> Key:
    # Nearly all are creations: the bare id takes a third of the memory of a pair.
    return publication.id if publication.action == CREATED else (publication.action, publication.id)


class Repeats:
    """The keys of the last ``reach`` records; :meth:`first_seen` takes the records in their order."""

    __slots__ = ("_age", "_keys", "_last", "_reach", "_references", "_since", "_times")

    def __init__(self, reach: int, age: Millis = DAY) -> None:
        self._reach = reach
        self._age = age
        self._since: Millis | None = None
        # The timestamps of the records that keys are kept of.
        self._times: dict[Offset, Millis] = {}
        self._last: dict[Key, Offset] = {}
        self._keys: deque[tuple[Offset, Sequence[Key]]] = deque()
        self._references = 0

    @property
    def size(self) -> int:
        """What the table costs in memory, in bytes."""
        return _ENTRY_BYTES * len(self._last) + _REFERENCE_BYTES * self._references + _RECORD_BYTES * len(self._keys)

    def first_seen(self, offset: Offset, publications: Sequence[Publication], timestamp: Millis = NO_TIME) -> list[int]:
        """Return the indices of those publications of record ``offset`` that are no repeats."""
        self._forget(Offset(offset - self._reach))
        if self._since is None:
            self._since = timestamp
        last, times = self._last, self._times
        oldest = timestamp - self._age
        keys = [_key(one) for one in publications]
        times[offset] = timestamp
        fresh = []
        for index, key in enumerate(keys):
            seen = last.get(key)
            # In the same record it is a repeat whatever the times are.
            if seen is None or (times[seen] < oldest and seen != offset):
                fresh.append(index)
            last[key] = offset
        if keys:
            self._keys.append((offset, tuple(keys)))
            self._references += len(keys)
        else:
            del times[offset]
        return fresh

    def has_read_enough(self, timestamp: Millis) -> bool:
        """Tell whether all records were read that are young enough to make a repeat of what is in one of this time.

        So it is as far as records are in the order of their timestamps: between workers, as far as their clocks agree.
        """
        return self._since is not None and self._since < timestamp - self._age

    def _forget(self, oldest: Offset) -> None:
        # A table ordered by its last use would need no second structure, but taking the first
        # entry of a dict whose beginning was deleted costs a scan over what was deleted.
        while self._keys and self._keys[0][0] < oldest:
            offset, keys = self._keys.popleft()
            self._references -= len(keys)
            del self._times[offset]
            for key in keys:
                if self._last.get(key) == offset:
                    del self._last[key]
