"""The clock of event time: the wall's time, kept steady while the wall's clock is not set.

Event time is compared with the timestamps of records, which are the wall's. A wall's clock that is set back would keep
windows open, and one that is set ahead close them early; so time is counted by a clock that is never set. It begins at
the wall's time, and begins there anew when the two differ by more than :data:`TOLERANCE_SECONDS`.
"""

from collections.abc import Callable
from typing import Final

from streams.contract import Millis

TOLERANCE_SECONDS: Final = 1.0
"""A second of difference changes no window by more than a record that comes late does (docs/time.md)."""


class EventClock:
    """Tells the time. ``wall`` counts seconds since the Unix epoch, ``steady`` seconds since any moment."""

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        self._wall = wall
        self._steady = steady
        self._epoch = wall() - steady()

    def now(self) -> Millis:
        """Return the time; it goes back only when the wall's clock was set back."""
        steady = self._steady()
        epoch = self._wall() - steady
        if abs(epoch - self._epoch) > TOLERANCE_SECONDS:
            self._epoch = epoch
        return Millis(round((self._epoch + steady) * 1000))
