"""Calls back when something is due: one timer of the loop for all, and of many that are due at once a few in a turn."""

from collections.abc import Callable
from typing import Generic

from edge.fanout.deadlines import C, Deadlines
from edge.fanout.loop import Loop, Timer


class Alarm(Generic[C]):
    """All that are due at some time; ``ring`` is called with each, for at most ``at_once`` of them in a turn."""

    def __init__(self, loop: Loop, at_once: int, ring: Callable[[C], None]) -> None:
        self._loop = loop
        self._at_once = at_once
        self._ring = ring
        self._deadlines: Deadlines[C] = Deadlines()
        self._timer: Timer | None = None
        self._timer_at = 0.0

    def __len__(self) -> int:
        return len(self._deadlines)

    def watch(self, client: C, when: float) -> None:
        """Ring for one at that time or soon after it, or earlier if it is watched already; then no more."""
        self._deadlines.watch(client, when)
        self._set_timer()

    def forget(self, client: C) -> None:
        """Ring for it no more."""
        self._deadlines.forget(client)

    def _set_timer(self) -> None:
        when = self._deadlines.next
        if when is None or (self._timer is not None and self._timer_at <= when):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = self._loop.call_at(when, self._look), when

    def _look(self) -> None:
        self._timer = None
        for client in self._deadlines.take(self._loop.time(), self._at_once):
            self._ring(client)
        self._set_timer()
