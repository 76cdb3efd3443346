"""Tumbling windows over event time: which window a record is in, and what is closed now.

A window is the half-open interval ``[start, start + size)`` in whole milliseconds, aligned to
multiples of its size. Laws:

* The event time of a record is max(largest so far in its partition, min(its timestamp, the clock)).
  It never runs backwards in a partition, so a window is a stretch of the partition's log; and a
  wrong clock can neither hold a window open nor close one early.
* A record that comes for a window already closed counts to the first open one.
* A window closes when the clock has passed its end and each assigned partition has a record past
  that end or is read to its high-water mark. The partitions close together.
* A partition that lags does not hold up the others for ever: a window whose end is long past is
  taken with what it has, and so is the oldest one when too much is held. That closes nothing; what
  comes for it later is taken in its turn.
* The records of a batch are in the order of (event time, partition, offset).

Time is told, never asked for. This module knows neither Kafka nor the clock.
"""

from collections.abc import Container, Iterable, Iterator
from typing import Final, NamedTuple

from streams.contract import Millis, Offset, Partition, PostId

OVERDUE_WINDOWS: Final = 2
"""After how many windows' lengths a window is taken although a partition lags. Reading on to the
high-water mark takes a healthy partition well under one."""


class Record(NamedTuple):
    """A record of ``posts.created`` in its place; records compare by that place."""

    event_time: Millis
    partition: Partition
    offset: Offset
    post: PostId
    attempt: int


class Batch(NamedTuple):
    """The records of one window, in order. ``window`` is its start."""

    window: Millis
    records: list[Record]


def parts(batch: Batch, max_batch: int) -> Iterator[Batch]:
    """Split a batch, in order, into parts of at most ``max_batch`` records."""
    for start in range(0, len(batch.records), max_batch):
        yield Batch(batch.window, batch.records[start : start + max_batch])


class Windows:
    """The records that wait for their window to close."""

    def __init__(self, size: Millis) -> None:
        self._size = size
        self._open: dict[Millis, list[Record]] = {}
        self._closed_until = Millis(0)
        # The event time and the window of each assigned partition's latest record.
        self._latest: dict[Partition, tuple[Millis, Millis]] = {}
        self._assigned: frozenset[Partition] = frozenset()

    @property
    def assigned(self) -> frozenset[Partition]:
        """The partitions whose records are gathered here."""
        return self._assigned

    def assign(self, partitions: Iterable[Partition]) -> None:
        """Gather for these partitions from now on."""
        self._assigned = frozenset(partitions)

    def clear(self) -> None:
        """Drop everything: it was not released, so it is read again, by whoever has the partitions then."""
        self._assigned = frozenset()
        self._open.clear()
        self._latest.clear()
        self._closed_until = Millis(0)

    def add(
        self, *, partition: Partition, offset: Offset, timestamp: Millis, now: Millis, post: PostId, attempt: int
    ) -> None:
        """Put a record in its window. The offsets of a partition come in growing order."""
        largest, _ = self._latest.get(partition, (Millis(0), Millis(0)))
        event_time = max(largest, min(timestamp, now))
        window = max(Millis(event_time - event_time % self._size), self._closed_until)
        self._latest[partition] = (event_time, window)
        self._open.setdefault(window, []).append(Record(event_time, partition, offset, post, attempt))

    def close(self, now: Millis, read: Container[Partition]) -> Batch | None:
        """Take the oldest window if it is over, else None. ``read`` are the partitions without more to read."""
        if not self._open:
            return None
        window = min(self._open)
        end = Millis(window + self._size)
        if now < end:
            return None
        if all(self._is_past(end, partition) or partition in read for partition in self._assigned):
            self._closed_until = max(self._closed_until, end)
        elif now < end + OVERDUE_WINDOWS * self._size:
            return None
        return self.take()

    def take(self) -> Batch | None:
        """Take the oldest window with what it has, over or not; what comes for it later follows."""
        if not self._open:
            return None
        window = min(self._open)
        return Batch(window, sorted(self._open.pop(window)))

    def lagging(self, now: Millis, read: Container[Partition]) -> list[Partition]:
        """Return the partitions without which the oldest window could be closed now."""
        over = min(self._open, default=now) + self._size
        return [p for p in self._assigned if now >= over and not self._is_past(Millis(over), p) and p not in read]

    def _is_past(self, end: Millis, partition: Partition) -> bool:
        return partition in self._latest and self._latest[partition][1] >= end
