"""The event times of each partition: which window a record is in, and for which partitions a window waits.

The laws are those of :mod:`streams.windows`. Time is told, never asked for.
"""

from collections.abc import Container, Iterable
from typing import Final

from streams.contract import Millis, Partition

LIVE_MS: Final = Millis(1000)
"""Until when after its end a window counts as live: by then it has closed (law 4)."""

FIRST_MS: Final = Millis(2000)
"""How long a partition of which nothing was read yet is waited for: a first fetch, and its way through Faust."""


class _Log:
    """What is known of one partition's log."""

    def __init__(self) -> None:
        self.largest = Millis(0)
        # The window of the newest record, retries not counted; None before the first.
        self.newest: Millis | None = None
        self.closed_until = Millis(0)


class EventTimes:
    """The event times of the assigned partitions, in windows of ``size``."""

    def __init__(self, size: Millis) -> None:
        self._size = size
        self._logs: dict[Partition, _Log] = {}
        # When the partitions were assigned.
        self._since = Millis(0)

    def __contains__(self, partition: object) -> bool:
        return partition in self._logs

    @property
    def partitions(self) -> frozenset[Partition]:
        """The partitions that are known."""
        return frozenset(self._logs)

    def assign(self, partitions: Iterable[Partition], now: Millis) -> None:
        """Forget everything; these partitions are assigned now."""
        self._logs = {partition: _Log() for partition in partitions}
        self._since = now

    def window(self, time: Millis) -> Millis:
        """Return the start of the window that a time is in."""
        return Millis(time - time % self._size)

    def place(self, partition: Partition, timestamp: Millis, now: Millis) -> tuple[Millis, Millis]:
        """Return a record's event time and its window."""
        log = self._logs[partition]
        log.largest = max(log.largest, min(timestamp, now))
        log.newest = max(self.window(log.largest), log.closed_until)
        return log.largest, log.newest

    def place_retry(self, partition: Partition, now: Millis) -> tuple[Millis, Millis]:
        """Return a retry's event time and its window."""
        return now, max(self.window(now), self._logs[partition].closed_until)

    def close(self, end: Millis, read: Container[Partition]) -> None:
        """Note that the windows up to an end are closed for the partitions that are ``read`` to their high-water mark.

        The others are past that end, or are behind, and nothing is closed for them.
        """
        for partition, log in self._logs.items():
            if partition in read:
                log.closed_until = max(log.closed_until, end)

    def is_awaited(self, window: Millis, now: Millis, read: Container[Partition], absent: Container[Partition]) -> bool:
        """Say whether a partition may bring more for the window soon: it is in the middle of it, or has only begun."""
        beginning = now < self._since + FIRST_MS
        return any(
            (log.newest == window or (log.newest is None and beginning))
            and partition not in read
            and partition not in absent
            for partition, log in self._logs.items()
        )

    def behind(self, now: Millis, read: Container[Partition]) -> frozenset[Partition]:
        """Return the partitions that are behind the live flow: not read to their end, their newest record overdue."""
        return frozenset(
            partition
            for partition, log in self._logs.items()
            if partition not in read and (log.newest is None or log.newest + self._size + LIVE_MS <= now)
        )

    def is_overdue(self, partition: Partition, timestamp: Millis, now: Millis) -> bool:
        """Say whether the next record of a partition would be overdue."""
        largest = max(self._logs[partition].largest, min(timestamp, now))
        return self.window(largest) + self._size + LIVE_MS <= now

    def newest_event(self, partition: Partition) -> Millis | None:
        """Return the largest event time that was read of a partition; None before the first record."""
        log = self._logs.get(partition)
        return log.largest if log is not None and log.newest is not None else None

    def set_back(self, now: Millis) -> None:
        """Bring to now what is in the future by a clock that was set back."""
        for log in self._logs.values():
            log.largest = min(log.largest, now)
            log.closed_until = min(log.closed_until, self.window(now))
            if log.newest is not None:
                log.newest = min(log.newest, self.window(now))
        self._since = min(self._since, now)
