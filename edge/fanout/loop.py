"""What fan-out needs of an event loop; asyncio's have it."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """What the loop will call at a time."""

    def cancel(self) -> None:
        """Have it not called."""
        ...


def lateness(clock: Callable[[], float], seconds: float) -> Callable[[], bool]:
    """Return what tells whether so many seconds have passed."""
    deadline = clock() + seconds
    return lambda: clock() > deadline


class Loop(Protocol):
    """A clock, and calls to come."""

    def time(self) -> float:
        """Return the time by a clock that never runs backwards."""
        ...

    def call_soon(self, callback: Callable[[], None], /) -> object:
        """Call this in the next turn."""
        ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        """Call this then."""
        ...
