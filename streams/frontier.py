"""Up to which offset each partition may be released.

Laws:

* offsets of a partition are held in growing order, and finished in any order;
* what may be released is the longest finished beginning: an offset that is still open keeps back
  everything after it, since a commit (or a cumulative acknowledgement) speaks for all before it;
* nothing is released twice.

The same law governs a Kafka partition's offsets and a RabbitMQ channel's delivery tags, so the
bridge and the agent each keep a frontier. This module knows neither broker.
"""

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Partition = TypeVar("Partition", bound=Hashable)


class Frontier(Generic[Partition]):
    """The open offsets of each partition, and the end of what is finished."""

    def __init__(self) -> None:
        self._held: dict[Partition, deque[int]] = {}
        self._finished: dict[Partition, set[int]] = {}

    @property
    def held(self) -> int:
        """How many offsets are held and not yet released."""
        return sum(map(len, self._held.values()))

    def hold(self, partition: Partition, offset: int) -> None:
        """Note that an offset is being worked on. Offsets of a partition come in growing order."""
        held = self._held.setdefault(partition, deque())
        if held and offset <= held[-1]:
            raise ValueError(f"offset {offset} of partition {partition!r} comes after {held[-1]}")
        held.append(offset)

    def finish(self, partition: Partition, offsets: Iterable[int]) -> None:
        """Note that offsets are safely elsewhere. Those that are not held (any more) are ignored."""
        if held := self._held.get(partition):
            self._finished.setdefault(partition, set()).update(o for o in offsets if held[0] <= o <= held[-1])

    def release(self) -> dict[Partition, int]:
        """Drain: the last releasable offset of each partition in which something new is."""
        released: dict[Partition, int] = {}
        for partition, finished in self._finished.items():
            held = self._held[partition]
            while held and held[0] in finished:
                released[partition] = held.popleft()
                finished.discard(released[partition])
        return released

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Drop partitions that are no longer ours: whoever has them now begins at what was released."""
        for partition in list(partitions):
            self._held.pop(partition, None)
            self._finished.pop(partition, None)
