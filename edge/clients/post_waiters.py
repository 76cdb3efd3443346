"""Long polls that wait for the log's next post, in the order in which they came.

Laws:

* A poll that waits stands behind everything that the log has for it. It is woken by the first record that has a post
  for it, by a gap in the feed, or by the edge's end. What it is answered, the log says then: to be woken is a hint.
* It moves on with the log while nothing comes for it, so that the log does not move past it.
* Polls that stand at one place, and read the same, are looked at once for all. Those with a filter are looked at until
  it is in the index from authors to filters, for a record or two; after that they are found by it, and a record costs
  as much as it has posts for them (:mod:`edge.fanout.resting`). A poll that no record came by costs the index nothing.
* Looking takes ``SLICE_SECONDS`` of a turn, and ``AT_ONCE`` polls are woken in one: their answers are written in the
  next.

Time is told by the loop. This module knows neither HTTP nor tasks.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from edge.clients.post_filters import PostFilters
from edge.fanout.filters import Filters
from edge.fanout.greetings import of_both
from edge.fanout.loop import Loop
from edge.fanout.resting import Rest
from edge.fanout.session import Progress
from edge.feed.log import Log
from edge.feed.position import Cursor, Reason, Resume
from edge.feed.reads import Reading
from edge.feed.selection import MAX_AUTHORS_TOTAL

SLICE_SECONDS: Final = 0.001
AT_ONCE: Final = 4
"""An answer takes aiohttp some 0.3 ms: as many are given together as connections are accepted."""


class Waiter:
    """A poll that waits."""

    __slots__ = ("_wake", "gap", "place")

    def __init__(self, place: "Place", wake: Callable[[], None]) -> None:
        self.place = place
        self._wake = wake
        self.gap: Reason | None = None
        """Why what comes next does not follow what it has."""

    @property
    def cursor(self) -> Cursor:
        """The place up to which there was nothing for it."""
        return self.place.cursor

    def wake(self) -> None:
        """Have it look."""
        self._wake()


class Place(Progress):
    """Polls that stand at one place of a log, behind ``cursor``, and read the same."""

    __slots__ = ("_cursor", "_log", "gap", "is_indexed", "is_woken", "reading", "waiters")

    def __init__(self, log: Log, cursor: Cursor, reading: Reading) -> None:
        super().__init__(cursor.position)
        self._log = log
        self._cursor = cursor
        self.reading = reading
        self.waiters: dict[Waiter, None] = {}
        self.is_indexed = False
        """Whether its filter is in the index, or will be."""
        self.is_woken = False
        """Whether all of them are to be woken."""
        self.gap: Reason | None = None

    def __len__(self) -> int:
        return len(self.waiters)

    @property
    def cursor(self) -> Cursor:
        """The place up to which there was nothing for them, as far as that is still known."""
        position = self.position
        if position != self._cursor.position and position >= self._log.tail:
            self._cursor = self._log.cursor_at(position)
        return self._cursor

    def stand(self, cursor: Cursor) -> None:
        """Stand behind a cursor from now on."""
        self._position, self._passed = cursor.position, None
        self._cursor = cursor

    def interrupt(self, reason: Reason) -> None:
        """Note that the log, which has begun anew, does not follow: what is known of a place in it stays."""
        # Who was not woken since the gap before is told of both as one.
        self.gap = reason if self.gap is None else of_both(self.gap, reason)
        self.stand(self._cursor)


class Waiters:
    """All polls that wait; their filters are among ``filters``, which have at most ``max_authors``."""

    def __init__(self, log: Log, loop: Loop, filters: Filters, *, max_authors: int = MAX_AUTHORS_TOTAL) -> None:
        self._log = log
        self._loop = loop
        self._count = 0
        self._index = filters
        # Whether the index is not up to date, and whether the next slice is for that first.
        self._is_indexing = self._is_for_index = False
        self._filters = PostFilters(filters, loop, max_authors=max_authors, changed=self._reindex)
        # All places where somebody waits; those that have been looked at since the newest record was read, and those
        # that have not.
        self._places: dict[Place, None] = {}
        self._rest: Rest[Place] = Rest(log.head, filters)
        self._due: deque[Place] = deque()
        self._is_soon = False
        self._not_before = self._slice_ends = 0.0
        self._apart = 0.0

    def __len__(self) -> int:
        return self._count

    def add(self, cursor: Cursor, reading: Reading, wake: Callable[[], None]) -> Waiter:
        """Have a poll wait that has been answered everything up to ``cursor``; ``wake`` is called once at most."""
        place = self._place(cursor, reading)
        waiter = Waiter(place, wake)
        place.waiters[waiter] = None
        self._count += 1
        return waiter

    def remove(self, waiter: Waiter) -> None:
        """Forget a poll that waits no more, if it is known."""
        place = waiter.place
        if waiter in place.waiters:
            del place.waiters[waiter]
            waiter.gap = place.gap
            self._count -= 1
            if not place.waiters:
                self._leave(place)

    def publish(self, read_at: float | None = None) -> None:  # noqa: ARG002 - the hub's clients are told by when
        """Look, soon, at those for whom there may be something."""
        if self._log.head != self._rest.head:
            self._due.extend(self._rest.advance(self._log.head))
            self._soon()

    def interrupt(self, reason: Reason) -> None:
        """Wake all: the log has begun anew."""
        for place in self._places:
            place.interrupt(reason)
        self._wake_all()

    def release(self, seconds: float) -> None:
        """Wake all, over so many seconds: the edge ends, and they come back to another one."""
        self._apart = AT_ONCE * seconds / max(1, self._count)
        self._wake_all()

    def _wake_all(self) -> None:
        self._rest.begin(self._log.head)
        self._due.clear()
        self._due.extend(self._places)
        for place in self._due:
            place.is_woken = True
        self._soon()

    def _place(self, cursor: Cursor, reading: Reading) -> Place:
        """Return where polls wait behind a cursor: with others, if they are there."""
        self.publish()
        is_at_head = cursor.position == self._log.head
        place = self._rest.last(reading, cursor.position) if is_at_head else None
        if place is None:
            place = Place(self._log, cursor, reading)
            self._places[place] = None
            if is_at_head:
                self._put_to_rest(place)
            else:
                self._due.append(place)
                self._soon()
        return place

    def _put_to_rest(self, place: Place, *, was_looked_at: bool = False) -> None:
        selection = place.reading.selection
        if selection is not None and not place.is_indexed:
            # Also where the index has its filter already, by other clients: these may leave.
            place.is_indexed = was_looked_at or self._index.is_indexed(selection)
            if place.is_indexed:
                self._filters.enter(selection)
        self._rest.add(place)

    def _leave(self, place: Place) -> None:
        """Forget a place where nobody waits any more: the next record may be hours away."""
        self._rest.forget(place)
        place.wake()
        del self._places[place]
        if place.is_indexed and place.reading.selection is not None:
            self._filters.leave(place.reading.selection)

    def _reindex(self) -> None:
        self._is_indexing = True
        self._soon()

    def _soon(self) -> None:
        if not self._is_soon and (self._due or self._rest.is_matching or self._is_indexing):
            self._is_soon = True
            self._loop.call_soon(self._slice)

    def _slice(self) -> None:
        self._is_soon = False
        begun = self._loop.time()
        self._slice_ends = begun + SLICE_SECONDS
        if begun < self._not_before:
            self._is_soon = True
            self._loop.call_at(self._not_before, self._slice)
            return
        # Every other slice: who is found by the index need not be looked at for each record.
        self._is_for_index = self._is_indexing and not self._is_for_index
        if self._is_for_index:
            self._is_indexing = self._index.work(self._is_late)
        woken = self._look()
        if not self._due:
            self._due.extend(self._rest.match(self._log, self._is_late))
        if woken and self._apart:
            self._not_before = begun + self._apart
        self._soon()

    def _look(self) -> int:
        """Look at those that are due, and wake them if there is something for them; return how many were woken."""
        woken = 0
        while self._due and woken < AT_ONCE and not self._is_late():
            place = self._due[0]
            if place.waiters and (place.is_woken or self._is_something_for(place)):
                waiter = next(iter(place.waiters))
                self.remove(waiter)
                waiter.wake()
                woken += 1
            elif not place.waiters or place.position == self._log.head:
                self._due.popleft()
                if place.waiters:
                    self._put_to_rest(place, was_looked_at=True)
        return woken

    def _is_late(self) -> bool:
        return self._loop.time() >= self._slice_ends

    def _is_something_for(self, place: Place) -> bool:
        """Tell whether those here are to look; else have them move on."""
        found = self._log.resume(place.cursor)
        if isinstance(found, Resume):
            chunk = self._log.read(found.position, place.reading, 1, self._is_late)
            if not chunk.posts:
                place.stand(self._log.cursor_at(chunk.position))
                return False
        place.is_woken = True
        return True
