"""The filters of long polls that wait, in the index that all clients of the edge share.

Laws:

* A filter stays in the index for ``LINGER_SECONDS`` after its polls have ended: their clients come back, most with the
  same one, and to bring a filter into the index costs as much as to look at its poll for some forty records.
* A part of the authors that all filters of the edge may have is kept so at most (``LINGER_PART``): what a stranger
  leaves behind has a bound, and takes that much of others. The oldest go first.

Time is told by the loop. This module knows neither polls nor the log.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from edge.fanout.filters import Filters
from edge.fanout.loop import Loop
from edge.feed.selection import Selection

LINGER_SECONDS: Final = 3.0
"""A client that is answered comes back after a round trip."""
LINGER_PART: Final = 1 / 4
"""As many as thousands of clients leave that are answered together."""


class PostFilters:
    """Uses of filters, each for one place at which polls wait; all filters have at most ``max_authors``.

    ``changed`` is called when the index is not up to date: ``Filters.work`` brings it there.
    """

    def __init__(self, filters: Filters, loop: Loop, *, max_authors: int, changed: Callable[[], None]) -> None:
        self._most = int(max_authors * LINGER_PART)
        self._filters = filters
        self._loop = loop
        self._changed = changed
        # What is still used although nobody waits, by when that ends: one after the other.
        self._lingering: deque[tuple[float, Selection]] = deque()
        self._authors = 0
        self._is_timed = False

    def enter(self, selection: Selection) -> None:
        """Have a filter in the index, soon."""
        self._filters.enter(selection)
        self._changed()

    def leave(self, selection: Selection) -> None:
        """Have it no longer there than others need it, or than it lingers."""
        self._lingering.append((self._loop.time() + LINGER_SECONDS, selection))
        self._authors += len(selection)
        while self._authors > self._most:
            self._let_go()
        self._look_again()

    def _let_go(self) -> None:
        _, selection = self._lingering.popleft()
        self._authors -= len(selection)
        self._filters.leave(selection)
        self._changed()

    def _look_again(self) -> None:
        if self._lingering and not self._is_timed:
            self._is_timed = True
            self._loop.call_at(self._lingering[0][0], self._expire)

    def _expire(self) -> None:
        self._is_timed = False
        now = self._loop.time()
        while self._lingering and self._lingering[0][0] <= now:
            self._let_go()
        self._look_again()
