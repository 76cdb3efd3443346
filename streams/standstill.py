"""When a worker that should move stands still.

A worker moves when its committed offsets do. Laws:

* a partition that has nothing to commit, or whose offset moved, or that was just assigned, is fine;
* while the worker knows what it waits for (it is *excused*), nothing counts;
* one that has stood longer than the patience although its log goes on is stuck, and no waiting will help.

Time is told. This module knows neither Kafka nor the clock.
"""

from collections.abc import Mapping
from typing import NamedTuple

from streams.contract import Millis, Offset, Partition


class Place(NamedTuple):
    """Where a partition's group stands, and where its log ends."""

    committed: Offset
    end: Offset


class Standstill:
    """Watches the places of the assigned partitions."""

    def __init__(self, patience: Millis) -> None:
        self._patience = patience
        self._moved: dict[Partition, tuple[Offset, Millis]] = {}

    def stuck(self, now: Millis, places: Mapping[Partition, Place], *, excused: bool) -> str | None:
        """Take in how things are now; return a sentence about what is stuck, if anything is."""
        before, self._moved = self._moved, {}
        sentence = None
        for partition, (committed, end) in places.items():
            last, since = before.get(partition, (None, now))
            if excused or committed != last or committed >= end:
                since = now
            elif now - since > self._patience:
                sentence = f"partition {partition} stands at {committed} of {end} for {(now - since) // 1000} s"
            self._moved[partition] = (committed, since)
        return sentence
