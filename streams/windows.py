"""Tumbling windows over event time: which window a record is in, and which records are completed next.

A window is the half-open interval ``[start, start + size)`` in whole milliseconds, aligned to multiples of its size.
A record of ``posts.created`` becomes one :class:`Record` for each of its ids. Laws:

* The event time of a record is max(largest so far in its partition, min(its timestamp, the clock)). It never runs
  backwards in a partition, so a window is a stretch of the partition's log; a wrong clock can neither hold a window
  open nor close one early. A retry is the exception: its event time is the clock when it is read, and it does not
  raise its partition's largest event time.
* A record that comes for a window already closed counts to the first open one.
* A partition is *behind* a window when it is not read to its high-water mark and its newest record is older than the
  window. No window waits for it, nor for a partition that is *absent*: paused, or without a leader.
* A window closes when the clock has passed its end and each other partition has a record past that end or is read to
  its high-water mark. A *live* window waits no longer than :data:`CLOSE_MS`. The partitions close together. For a
  partition behind it nothing is closed: what it brings for the window later is overdue.
* A window is *live* until :data:`~streams.event_times.LIVE_MS` after its end, not counting the time between two calls
  of :meth:`Windows.next_batch`; after that it is *overdue*. What is live goes first. What is overdue is completed
  together, many windows in one batch; while a live window is due or open, such a batch is of at most
  :data:`OVERDUE_IDS` ids.
* After an assignment each partition has :data:`~streams.event_times.FIRST_MS` to bring its first record, before it
  counts as behind.
* The records of a batch are in the order of (event time, partition, offset, place in the record).

Time is told, never asked for; when it is set back, what was in the future is now. This module knows neither Kafka nor
the clock.
"""

from collections.abc import Container, Iterable, Sequence
from typing import Final, NamedTuple

from streams.contract import Millis, Offset, Partition, PostId
from streams.event_times import LIVE_MS, EventTimes

CLOSE_MS: Final = Millis(750)
"""How long a live window waits for a partition: with a look every quarter of a second, it closes within 1 s."""

OVERDUE_IDS: Final = 5_000
"""How many ids an overdue batch has at most while a live window is due or open: a statement of some 40 ms."""


class Record(NamedTuple):
    """One id of a record of ``posts.created``, in its place; records compare by that place."""

    event_time: Millis
    partition: Partition
    offset: Offset
    place: int
    post: PostId
    attempt: int


class Batch(NamedTuple):
    """Records that are completed together, in order. ``window`` is the start of the first of their windows."""

    window: Millis
    records: list[Record]
    overdue: bool = False


class Windows:
    """The records that wait to be completed."""

    def __init__(self, size: Millis, max_batch: int) -> None:
        self._size = size
        self._max_batch = max_batch
        self._times = EventTimes(size)
        self._waiting: dict[Millis, list[Record]] = {}
        # What is left of the live windows that are closed, in order, and the first of them.
        self._due: list[Record] = []
        self._due_window = Millis(0)
        self._now = Millis(0)
        # When it was last judged which windows are closed.
        self._judged = Millis(0)

    @property
    def assigned(self) -> frozenset[Partition]:
        """The partitions whose records are gathered here."""
        return self._times.partitions

    def __contains__(self, partition: object) -> bool:
        return partition in self._times

    @property
    def held(self) -> int:
        """How many ids wait to be completed."""
        return len(self._due) + sum(map(len, self._waiting.values()))

    @property
    def held_overdue(self) -> int:
        """How many of them are overdue."""
        return sum(len(records) for window, records in self._waiting.items() if not self._is_live(window))

    def assign(self, partitions: Iterable[Partition], now: Millis) -> None:
        """Drop everything, and gather for these partitions from now on.

        What is dropped was not released, so it is read again, by whichever worker has its partition then.
        """
        self.clear()
        self._times.assign(partitions, now)
        self._now = self._judged = now

    def clear(self) -> None:
        """Drop everything, and gather for no partition."""
        self._times.assign((), self._now)
        self._waiting.clear()
        self._due.clear()

    def add(
        self,
        *,
        partition: Partition,
        offset: Offset,
        timestamp: Millis,
        now: Millis,
        ids: Sequence[PostId],
        attempt: int,
    ) -> None:
        """Put a record's ids in their window. The offsets of a partition come in growing order."""
        self._tell(now)
        if attempt:
            event_time, window = self._times.place_retry(partition, now)
        else:
            event_time, window = self._times.place(partition, timestamp, now)
        self._waiting.setdefault(window, []).extend(
            Record(event_time, partition, offset, place, post, attempt) for place, post in enumerate(ids)
        )

    def next_batch(
        self, now: Millis, *, read: Container[Partition], absent: Container[Partition] = (), pressed: bool = False
    ) -> Batch | None:
        """Take what is to be completed next, at most ``max_batch`` ids; None when nothing is.

        ``read`` are the partitions that are read to their high-water mark, ``absent`` those that are paused or have
        no leader. ``pressed`` says that too much is held: then the oldest window is taken with what it has, over or
        not, which closes nothing.
        """
        self._tell(now)
        if not self._due:
            self._close_live(now, read, absent)
        if self._due:
            return Batch(self._due_window, _cut(self._due, self._max_batch))
        if over := self._close_overdue(now, read, absent):
            live = any(self._is_live(window) for window in self._waiting)
            return self._take(over, min(self._max_batch, OVERDUE_IDS) if live else self._max_batch, overdue=True)
        if pressed and self._waiting:
            window = min(self._waiting)
            return self._take([window], self._max_batch, overdue=not self._is_live(window))
        return None

    def behind(self, now: Millis, read: Container[Partition]) -> frozenset[Partition]:
        """Return the partitions that are behind the live flow: not read to their end, their newest record overdue."""
        return self._times.behind(now, read)

    def is_overdue(self, partition: Partition, timestamp: Millis, now: Millis) -> bool:
        """Say whether the next record of a partition would be overdue."""
        return self._times.is_overdue(partition, timestamp, now)

    def newest_event(self, partition: Partition) -> Millis | None:
        """Return the largest event time that was read of a partition; None before the first record."""
        return self._times.newest_event(partition)

    # -- which windows are over ----------------------------------------------------------------------

    def _close_live(self, now: Millis, read: Container[Partition], absent: Container[Partition]) -> None:
        over: list[Millis] = []
        for window in sorted(filter(self._is_live, self._waiting)):
            end = window + self._size
            if now < end or (now < end + CLOSE_MS and self._times.is_awaited(window, now, read, absent)):
                break
            over.append(window)
            self._times.close(Millis(end), read)
        self._judged = now
        # After a statement that took long, windows of a long time are over: the newest go first, as law 5 promises for
        # each live post, and the others are overdue by now.
        room = self._max_batch
        for window in reversed(over):
            room -= len(self._waiting[window])
            if room < 0 and self._due:
                break
            self._due += self._waiting.pop(window)
            self._due_window = window
        self._due.sort()

    def _close_overdue(self, now: Millis, read: Container[Partition], absent: Container[Partition]) -> list[Millis]:
        over = [
            window
            for window in sorted(self._waiting)
            if window + self._size <= now
            and not self._is_live(window)
            and not self._times.is_awaited(window, now, read, absent)
        ]
        if over:
            self._times.close(Millis(over[-1] + self._size), read)
        return over

    def _is_live(self, window: Millis) -> bool:
        return window + self._size + LIVE_MS > self._judged

    # -- what is taken -------------------------------------------------------------------------------

    def _take(self, windows: Sequence[Millis], limit: int, *, overdue: bool) -> Batch:
        """Take the first records of these windows, which are in order."""
        taken: list[Record] = []
        for window in windows:
            waiting = self._waiting[window]
            waiting.sort()
            taken += _cut(waiting, limit - len(taken))
            if waiting:
                break
            del self._waiting[window]
        # A record that came too late for its own window has a smaller event time than its neighbours.
        taken.sort()
        return Batch(windows[0], taken, overdue)

    def _tell(self, now: Millis) -> None:
        if now < self._now:
            self._set_back(now)
        self._now = now

    def _set_back(self, now: Millis) -> None:
        """Bring to now what is in the future by a clock that was set back, so that it need not wait for it."""
        waiting, self._waiting = self._waiting, {}
        for window, records in waiting.items():
            self._waiting.setdefault(min(window, self._times.window(now)), []).extend(
                record._replace(event_time=min(record.event_time, now)) for record in records
            )
        self._times.set_back(now)
        self._judged = min(self._judged, now)


def _cut(records: list[Record], count: int) -> list[Record]:
    """Remove and return the first records of a list."""
    taken = records[:count]
    del records[:count]
    return taken
