"""What has waited too long, where all may wait for the same time: one timer for all of them.

With a timer of the loop for each, those that are due together would all be called in one turn: 10,000 connections that
came together and asked for nothing.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

AT_ONCE: Final = 64
"""How many are called in a turn: most of them write an answer, and close."""


class Timers(Protocol):
    """What is needed of an event loop; asyncio's have it."""

    def time(self) -> float:
        """Return the time by a clock that never runs backwards, in seconds."""
        ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> object:
        """Call this then."""
        ...


class Waits:
    """Calls to be made ``seconds`` after their beginning, in the order of their beginnings."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: OrderedDict[Callable[[], object], float] = OrderedDict()
        self._is_watched = False

    def __len__(self) -> int:
        return len(self._due)

    def begin(self, call: Callable[[], object], loop: Timers) -> None:
        """Have this called, unless it waits already or the wait ends before; all must be of the same loop."""
        due = self._due.setdefault(call, loop.time() + self._seconds)
        if not self._is_watched:
            self._is_watched = True
            loop.call_at(due, lambda: self._look(loop))

    def end(self, call: Callable[[], object]) -> None:
        """Have it not called, if it still waits."""
        self._due.pop(call, None)

    def finish(self) -> None:
        """Call all that still wait."""
        while self._due:
            call, _ = self._due.popitem(last=False)
            call()

    def _look(self, loop: Timers) -> None:
        now, calls = loop.time(), list[Callable[[], object]]()
        while self._due and len(calls) < AT_ONCE:
            call, due = next(iter(self._due.items()))
            if due > now:
                break
            calls.append(call)
            del self._due[call]
        if self._due:
            loop.call_at(next(iter(self._due.values())), lambda: self._look(loop))
        else:
            self._is_watched = False
        for call in calls:
            call()
