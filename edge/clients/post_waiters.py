"""Long polls that wait for the log's next post, in the order in which they came.

Laws:

* A poll that waits stands behind everything that the log has for it. It is woken by the first record that has a post
  for it, by a gap in the feed, or by the edge's end. What it is answered, the log says then: to be woken is a hint.
* It moves on with the log while nothing comes for it, so that the log does not move past it.
* Polls that stand at one place, and read the same, are looked at once for all. Looking takes ``SLICE_SECONDS`` of a
  turn, and ``AT_ONCE`` polls are woken in one: their answers are written in the next.

Time is told by the loop. This module knows neither HTTP nor tasks.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from edge.fanout.loop import Loop
from edge.feed.log import Log
from edge.feed.position import Cursor, Reason, Resume
from edge.feed.reads import Reading

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

    def wake(self, gap: Reason | None) -> None:
        """Have it look."""
        self.gap = gap
        self._wake()


class Place:
    """Polls that stand at one place and read the same."""

    __slots__ = ("cursor", "gap", "is_woken", "reading", "waiters")

    def __init__(self, cursor: Cursor, reading: Reading) -> None:
        self.cursor = cursor
        self.reading = reading
        self.waiters: dict[Waiter, None] = {}
        self.is_woken = False
        """Whether all of them are to be woken."""
        self.gap: Reason | None = None


class Waiters:
    """All polls that wait."""

    def __init__(self, log: Log, loop: Loop) -> None:
        self._log = log
        self._loop = loop
        self._count = 0
        # Those that have been looked at since the newest record was read, and those that have not.
        self._resting: dict[tuple[Cursor, Reading], list[Place]] = {}
        self._due: deque[Place] = deque()
        self._is_soon = False
        self._not_before = self._slice_ends = 0.0
        self._apart = 0.0

    def __len__(self) -> int:
        return self._count

    def add(self, cursor: Cursor, reading: Reading, wake: Callable[[], None]) -> Waiter:
        """Have a poll wait that has been answered everything up to ``cursor``; ``wake`` is called once at most."""
        places = self._resting.setdefault((cursor, reading), [])
        if not places:
            places.append(Place(cursor, reading))
        waiter = Waiter(places[0], wake)
        waiter.place.waiters[waiter] = None
        self._count += 1
        if cursor.position != self._log.head:
            self.publish()
        return waiter

    def remove(self, waiter: Waiter) -> None:
        """Forget a poll that waits no more, if it is known."""
        place = waiter.place
        if waiter in place.waiters:
            del place.waiters[waiter]
            self._count -= 1
            if not place.waiters:
                self._leave(place)

    def publish(self, read_at: float | None = None) -> None:  # noqa: ARG002 - the hub's clients are told by when
        """Look, soon, at those for whom there may be something."""
        for places in self._resting.values():
            self._due.extend(places)
        self._resting.clear()
        self._soon()

    def interrupt(self, reason: Reason) -> None:
        """Wake all: the log has begun anew."""
        self._wake_all(reason)

    def release(self, seconds: float) -> None:
        """Wake all, over so many seconds: the edge ends, and they come back to another one."""
        self._apart = AT_ONCE * seconds / max(1, self._count)
        self._wake_all(None)

    def _wake_all(self, gap: Reason | None) -> None:
        self.publish()
        for place in self._due:
            place.is_woken, place.gap = True, gap

    def _leave(self, place: Place) -> None:
        """Forget a place where nobody waits any more: the next record may be hours away. One that is due is soon."""
        key = place.cursor, place.reading
        places = self._resting.get(key, [])
        if place in places:
            places.remove(place)
            if not places:
                del self._resting[key]

    def _soon(self) -> None:
        if self._due and not self._is_soon:
            self._is_soon = True
            self._loop.call_soon(self._slice)

    def _slice(self) -> None:
        self._is_soon = False
        begun, woken = self._loop.time(), 0
        self._slice_ends = begun + SLICE_SECONDS
        if begun < self._not_before:
            self._is_soon = True
            self._loop.call_at(self._not_before, self._slice)
            return
        while self._due and woken < AT_ONCE and not self._is_late():
            place = self._due[0]
            if place.waiters and (place.is_woken or self._is_something_for(place)):
                waiter = next(iter(place.waiters))
                self.remove(waiter)
                waiter.wake(place.gap)
                woken += 1
            elif not place.waiters or place.cursor.position == self._log.head:
                self._due.popleft()
                if place.waiters:
                    self._resting.setdefault((place.cursor, place.reading), []).append(place)
        if woken and self._apart:
            self._not_before = begun + self._apart
        self._soon()

    def _is_late(self) -> bool:
        return self._loop.time() >= self._slice_ends

    def _is_something_for(self, place: Place) -> bool:
        """Tell whether those here are to look; else have them move on."""
        found = self._log.resume(place.cursor)
        if isinstance(found, Resume):
            chunk = self._log.read(found.position, place.reading, 1, self._is_late)
            if not chunk.posts:
                place.cursor = self._log.cursor_at(chunk.position)
                return False
        place.is_woken = True
        return True
