"""Which clients are to be closed after a gap, since they cannot be told of it, and when.

They come back, to edges that have the same gap, and would all come at once: so one goes after the other.
"""

import math
from collections import deque
from typing import Final, Generic, TypeVar

_A_SECOND: Final = 200.0
"""Few enough for any edge to take in."""
_SECONDS: Final = 60.0
"""Faster only where it would take longer than this."""

C = TypeVar("C")


class Partings(Generic[C]):
    """Those that are to be closed, in the order in which they were added."""

    def __init__(self) -> None:
        self._waiting: deque[C] = deque()
        self._a_second = _A_SECOND

    def expect(self, clients: int) -> None:
        """Be ready for so many."""
        self._a_second = max(_A_SECOND, clients / _SECONDS)

    def add(self, client: C) -> None:
        """Have a client wait for its turn."""
        self._waiting.append(client)

    def take(self, seconds: float) -> list[C]:
        """Return those whose turn comes in so many seconds."""
        count = min(math.ceil(seconds * self._a_second), len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]
