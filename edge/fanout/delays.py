"""How long a record takes until the last client at the head has been written it.

Clients at the head stand in line by cohorts, in the order of the records (:mod:`edge.fanout.cohorts`). So a record is
done when the cohort has been served that was the last in line when it came: a number to compare for each cohort, and
nothing for a client. A client that lags or is held does not count; nor does what follows the first write, where a
record is larger than one.

Time is told, in seconds of any clock that never runs backwards.
"""

from collections import deque

from edge.histogram import Histogram


class Delays:
    """Measures records from when they were read; :attr:`seconds` has how long they took."""

    def __init__(self) -> None:
        self.seconds = Histogram()
        self._noted: list[float] = []
        self._under_way: deque[tuple[int, float]] = deque()

    def note(self, now: float) -> None:
        """Measure a record from ``now`` on; which clients get it may not be known yet."""
        self._noted.append(now)

    def begin(self, last: int) -> None:
        """Measure what was noted until so many cohorts have been served since the start."""
        self._under_way.extend((last, now) for now in self._noted)
        self._noted.clear()

    def served(self, cohorts: int, now: float) -> None:
        """Note how many cohorts have been served since the start."""
        while self._under_way and self._under_way[0][0] <= cohorts:
            self.seconds.note(now - self._under_way.popleft()[1])

    def forget(self) -> None:
        """Measure none of what is under way: nobody stands in line any more."""
        self._noted.clear()
        self._under_way.clear()
