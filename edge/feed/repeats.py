"""Which publications of the feed repeat one that the records before already had.

Law: a key ``(action, id)`` is a repeat when it occurs, shown or not, in one of the ``reach``
records before (by offset), or earlier in the same record. So the decision depends on nothing but
those raw records, and everybody who has read them decides alike, wherever he began.

Memory is one entry of a table and one of a list for each key of the last ``reach`` records: :attr:`Repeats.size`.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from streams.contract import CREATED, Offset, Publication

Key = int | tuple[str, int]

# By sys.getsizeof on CPython 3.11: a table's entry at its usual filling, an id and an offset; a reference in a list of
# keys; such a list with its offset. Keys that are pairs are rare, and cost more.
_ENTRY_BYTES: Final = 150
_REFERENCE_BYTES: Final = 8
_RECORD_BYTES: Final = 200


def _key(publication: Publication) -> Key:
    # Nearly all are creations: the bare id takes a third of the memory of a pair.
    return publication.id if publication.action == CREATED else (publication.action, publication.id)


class Repeats:
    """The keys of the last ``reach`` records; :meth:`first_seen` takes the records in their order."""

    __slots__ = ("_keys", "_last", "_reach", "_references")

    def __init__(self, reach: int) -> None:
        self._reach = reach
        self._last: dict[Key, Offset] = {}
        self._keys: deque[tuple[Offset, Sequence[Key]]] = deque()
        self._references = 0

    @property
    def size(self) -> int:
        """What the table costs in memory, in bytes."""
        return _ENTRY_BYTES * len(self._last) + _REFERENCE_BYTES * self._references + _RECORD_BYTES * len(self._keys)

    def first_seen(self, offset: Offset, publications: Sequence[Publication]) -> list[int]:
        """Return the indices of those publications of record ``offset`` that are no repeats."""
        self._forget(Offset(offset - self._reach))
        last = self._last
        keys = [_key(one) for one in publications]
        fresh = []
        for index, key in enumerate(keys):
            if key not in last:
                fresh.append(index)
            last[key] = offset
        if keys:
            self._keys.append((offset, tuple(keys)))
            self._references += len(keys)
        return fresh

    def _forget(self, oldest: Offset) -> None:
        # A table ordered by its last use would need no second structure, but taking the first
        # entry of a dict whose beginning was deleted costs a scan over what was deleted.
        while self._keys and self._keys[0][0] < oldest:
            offset, keys = self._keys.popleft()
            self._references -= len(keys)
            for key in keys:
                if self._last.get(key) == offset:
                    del self._last[key]
