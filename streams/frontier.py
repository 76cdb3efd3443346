"""Up to which offset each partition may be released.

Laws:

* offsets of a partition are held in growing order, each with its number of parts (a record's ids), and their parts are
  finished in any order;
* an offset is finished when all its parts are;
* what may be released is the longest finished beginning: an offset that is still open keeps back everything after it,
  since a commit speaks for all before it;
* nothing is released twice, and of what is released nothing is kept.

This module does not know Kafka.
"""

from collections import Counter, deque
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Partition = TypeVar("Partition", bound=Hashable)


class _Held:
    """One partition: the offsets that are not released, as (offset, parts, time), and the parts that each has left."""

    def __init__(self) -> None:
        self.offsets: deque[tuple[int, int, int]] = deque()
        self.left: dict[int, int] = {}


class Frontier(Generic[Partition]):
    """The offsets of each partition that are not released."""

    def __init__(self) -> None:
        self._held: dict[Partition, _Held] = {}
        self._parts = 0

    @property
    def held(self) -> int:
        """How many parts of offsets that are not released are held."""
        return self._parts

    def oldest(self, partition: Partition) -> tuple[int, int] | None:
        """Return the lowest offset that is not released, and its time; None without one."""
        held = self._held.get(partition)
        return (held.offsets[0][0], held.offsets[0][2]) if held and held.offsets else None

    def hold(self, partition: Partition, offset: int, parts: int = 1, time: int = 0) -> None:
        """Note that an offset is being worked on. Offsets of a partition come in growing order; times are as told."""
        held = self._held.setdefault(partition, _Held())
        if held.offsets and offset <= held.offsets[-1][0]:
            raise ValueError(f"offset {offset} of partition {partition!r} comes after {held.offsets[-1][0]}")
        held.offsets.append((offset, parts, time))
        held.left[offset] = parts
        self._parts += parts

    def finish(self, partition: Partition, offsets: Iterable[int]) -> None:
        """Note that a part is done of each of these offsets; one that is named twice has two parts done.

        Offsets that are not held (any more) are ignored.
        """
        if held := self._held.get(partition):
            for offset, parts in Counter(offsets).items():
                if offset in held.left:
                    held.left[offset] -= parts

    def release(self) -> dict[Partition, int]:
        """Drain: return, for each partition with new ones, the highest offset that may be committed, and forget it."""
        released: dict[Partition, int] = {}
        for partition, held in self._held.items():
            while held.offsets and held.left[held.offsets[0][0]] <= 0:
                offset, parts, _ = held.offsets.popleft()
                del held.left[offset]
                self._parts -= parts
                released[partition] = offset
        return released

    def clear(self) -> None:
        """Drop everything: the workers that have the partitions now begin at what was released."""
        self._held.clear()
        self._parts = 0
