"""Whether a partition stands still although its log goes on.

Laws:

* a partition that was just assigned, that has nothing left to do, or that moved is fine;
* while a stage that works on batches waits for anything outside (*waiting*), no partition's time counts;
* a partition that is not read for longer than the patience, although its log has records left, stands still;
* a partition whose committed offset has not moved for the patience and a window stands still, unless some batch, lookup
  or write has made progress meanwhile.

Time is an argument. This module knows neither Kafka nor the clock.
"""

from collections.abc import Mapping
from typing import NamedTuple

from streams.contract import Millis, Offset, Partition


class Place(NamedTuple):
    """Where the group stands in a partition (``committed``), and where the partition's log ends.

    ``read`` is the offset that is read next; None while the worker does not want to read on (the partition is paused,
    or too much is held).
    """

    committed: Offset
    end: Offset
    read: Offset | None = None


class _Stand(NamedTuple):
    """A place, since when its committed offset stands, and since when its read position does."""

    place: Place
    committed: Millis
    read: Millis


class Standstill:
    """Watches the places of the assigned partitions."""

    def __init__(self, patience: Millis, window: Millis) -> None:
        self._patience = patience
        self._window = window
        self._stands: dict[Partition, _Stand] = {}
        self._progressed = 0

    def stuck(self, now: Millis, places: Mapping[Partition, Place], *, waiting: bool, progressed: int) -> str | None:
        """Take in how things are now; return a sentence about a partition that stands still.

        ``progressed`` counts the progress of all that works on batches, and grows for ever.
        """
        before, self._stands = self._stands, {}
        busy = progressed != self._progressed
        self._progressed = progressed
        sentence = None
        for partition, place in places.items():
            last, committed, read = before.get(partition, _Stand(place, now, now))
            if waiting or busy or place.committed != last.committed or place.committed >= place.end:
                committed = now
            if waiting or place.read is None or place.read != last.read or place.read >= place.end:
                read = now
            self._stands[partition] = _Stand(place, committed, read)
            if (stood := now - read) > self._patience:
                sentence = f"partition {partition} is not read on at {place.read} of {place.end} for {stood // 1000} s"
            elif (stood := now - committed) > self._patience + self._window:
                sentence = f"partition {partition} stands at {place.committed} of {place.end} for {stood // 1000} s"
        return sentence
