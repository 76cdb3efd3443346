"""Which publications of the feed repeat one that the records before already had.

Law: a key ``(action, id)`` is a repeat when it occurs, shown or not, in one of the ``reach``
records before (by offset), or earlier in the same record. So the decision depends on nothing but
those raw records, and everybody who has read them decides alike, wherever he began.

Memory is one integer and one table entry for each key of the last ``reach`` records.
"""

from collections import deque
from collections.abc import Sequence

from streams.contract import CREATED, Offset, Publication

Key = int | tuple[str, int]


def _key(publication: Publication) -> Key:
    # Nearly all are creations: the bare id takes a third of the memory of a pair.
    return publication.id if publication.action == CREATED else (publication.action, publication.id)


class Repeats:
    """The keys of the last ``reach`` records; :meth:`first_seen` takes the records in their order."""

    __slots__ = ("_keys", "_last", "_reach")

    def __init__(self, reach: int) -> None:
        self._reach = reach
        self._last: dict[Key, Offset] = {}
        self._keys: deque[tuple[Offset, Sequence[Key]]] = deque()

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
        return fresh

    def _forget(self, oldest: Offset) -> None:
        # A table ordered by its last use would need no second structure, but taking the first
        # entry of a dict whose beginning was deleted costs a scan over what was deleted.
        while self._keys and self._keys[0][0] < oldest:
            offset, keys = self._keys.popleft()
            for key in keys:
                if self._last.get(key) == offset:
                    del self._last[key]
