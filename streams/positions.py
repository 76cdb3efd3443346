"""Where each assigned partition is read, and what a jump of its offsets means.

Laws:

* the offsets of a partition are taken in order, each once;
* a commit past a jump is final, so a jump is looked into: the partition is read again from where it jumped, once. When
  the log again holds nothing in between, it is a hole (retention, the marker of a transaction, compaction);
* until that reading begins, records that were under way are stale: what counts is the first record that the consumer
  hands over after it was sought;
* a log that has such a hole which retention does not explain may have many: its next jumps are not read again;
* the consumer's position counts as read when it has handed over nothing on its way there, twice.

This module does not know Kafka.
"""

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import NamedTuple

from streams.contract import Offset, Partition


class Passed(NamedTuple):
    """What the consumer has handed over of a partition since it was last sought, and where it is now.

    ``first`` is the offset of the first record, ``end`` the offset after the last one; both are None without records.
    """

    first: Offset | None
    end: Offset | None
    position: Offset


class Verdict(Enum):
    """What to do with a record."""

    TAKE = auto()
    DROP = auto()
    """It was taken already, or is stale."""
    READ_AGAIN = auto()
    """It comes after a jump: :meth:`Positions.to_seek` says where to read on."""
    HOLE = auto()
    """It comes after a hole: take it."""


class _Position:
    def __init__(self, begin: Offset) -> None:
        self.next = begin
        self.again = False
        self.sought = False
        self.has_holes = False


class Positions:
    """The read position of each assigned partition."""

    def __init__(self) -> None:
        self._positions: dict[Partition, _Position] = {}

    def begin(self, offsets: Mapping[Partition, Offset]) -> None:
        """Forget everything and read these partitions from these offsets on."""
        self._positions = {partition: _Position(offset) for partition, offset in offsets.items()}

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._positions)

    def __contains__(self, partition: object) -> bool:
        return partition in self._positions

    def next(self, partition: Partition) -> Offset:
        """Return the offset that is to be read next."""
        return self._positions[partition].next

    def judge(self, partition: Partition, offset: Offset, passed: Passed | None) -> Verdict:
        """Say what to do with a record, and go past it where that is to take it."""
        position = self._positions.get(partition)
        if position is None or offset < position.next:
            return Verdict.DROP
        jumped = offset > position.next
        if position.again:
            # Before the consumer is sought, what it handed over first lies below the jump, or is the jump itself.
            if passed is None or offset != passed.first:
                return Verdict.DROP
            position.again = position.sought = False
        elif jumped and not position.has_holes:
            position.again = True
            return Verdict.READ_AGAIN
        position.next = Offset(offset + 1)
        return Verdict.HOLE if jumped else Verdict.TAKE

    def look(self, partition: Partition, passed: Passed | None) -> Offset | None:
        """Compare a position with the consumer's: without a record on the way it is read again, then a hole.

        Returns where the hole begins, once it is one.
        """
        position = self._positions[partition]
        if passed is None or passed.position <= position.next or (passed.end or 0) > position.next:
            return None
        if not position.again and not position.has_holes:
            position.again = True
            return None
        if position.again and not position.sought:
            return None
        begin, position.next = position.next, passed.position
        position.again = position.sought = False
        return begin

    def to_seek(self) -> dict[Partition, Offset]:
        """Return where the consumer is to be sought for partitions that are to be read again."""
        return {p: position.next for p, position in self._positions.items() if position.again and not position.sought}

    def sought(self, partition: Partition) -> None:
        """Note that the consumer was sought."""
        if partition in self._positions:
            self._positions[partition].sought = True

    def has_holes(self, partition: Partition) -> bool:
        """Note that a log has holes which retention does not explain; return whether that was known."""
        known = self._positions[partition].has_holes
        self._positions[partition].has_holes = True
        return known
