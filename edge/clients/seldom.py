"""Lets through what a client may do only so often.

Time is told, in seconds of any clock that never runs backwards.
"""

from collections import deque


class Seldom:
    """Lets ``most`` through in any ``seconds``."""

    __slots__ = ("_seconds", "_times")

    def __init__(self, most: int, seconds: float) -> None:
        self._seconds = seconds
        self._times: deque[float] = deque(maxlen=most)

    def allows(self, now: float) -> bool:
        """Let one more through now, unless it is one too many; those that were not let through do not count."""
        times = self._times
        if len(times) == times.maxlen and now - times[0] < self._seconds:
            return False
        times.append(now)
        return True
