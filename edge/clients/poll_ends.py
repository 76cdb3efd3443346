"""When long polls end by themselves: their time is over, or their client's token has run out.

There is one timer for all of them. Of many that end together, as polls with tokens of one hour do, ``AT_ONCE`` are
woken in a turn of the loop: their answers are written in the next.
"""

from typing import Protocol

from edge.clients.post_waiters import AT_ONCE
from edge.fanout.deadlines import Deadlines, Entered
from edge.fanout.loop import Loop, Timer


class Ending(Entered, Protocol):
    """A poll that waits."""

    def wake(self) -> None:
        """Have it look at the clock."""
        ...


class PollEnds:
    """The ends of all polls that wait."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._deadlines: Deadlines[Ending] = Deadlines()
        self._timer: Timer | None = None
        self._timer_at = 0.0

    def __len__(self) -> int:
        return len(self._deadlines)

    def watch(self, poll: Ending, when: float) -> None:
        """Wake a poll at that time or soon after it, unless it is forgotten."""
        self._deadlines.watch(poll, when)
        self._set_timer()

    def forget(self, poll: Ending) -> None:
        """Wake it no more."""
        self._deadlines.forget(poll)

    def _set_timer(self) -> None:
        when = self._deadlines.next
        if when is None or (self._timer is not None and self._timer_at <= when):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = self._loop.call_at(when, self._look), when

    def _look(self) -> None:
        self._timer = None
        for poll in self._deadlines.take(self._loop.time(), AT_ONCE):
            poll.wake()
        self._set_timer()
