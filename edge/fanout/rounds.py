"""Shares the loop between the live feed, all other work of fan-out, and everybody else who needs the loop.

Laws:

* Work for the head goes before all other work, and takes ``HEAD_SECONDS`` at a time.
* All other work takes ``BEHIND_SECONDS`` at a time, or a single piece. Before there is any again the loop turns
  ``TURNS`` times, or for ``PAUSE_SHARE`` times as long as the work took where its turns are long. So many turns a
  record needs from Kafka's socket to the hub (decision 0018): where they are short, one on its way waits for one slice
  of other work at most.
* While there is other work it gets its part of the clock, one of ``1 + PAUSE_SHARE`` but for a turn and the time that
  the head takes: a single client that takes what it is sent, and has much to catch up with, goes on at once.
"""

from collections.abc import Callable
from typing import Final

from edge.fanout.loop import Loop

HEAD_SECONDS: Final = 0.005
"""Some 800 small writes: long enough that going round the loop costs nothing beside them."""
BEHIND_SECONDS: Final = 0.001
TURNS: Final = 6
PAUSE_SHARE: Final = 2


class Rounds:
    """Calls ``head`` and ``behind``, each of which does one piece of work and tells whether there was any."""

    def __init__(self, loop: Loop, *, head: Callable[[], bool], behind: Callable[[], bool]) -> None:
        self._loop = loop
        self._head = head
        self._behind = behind
        self._is_due = False
        self._turns = 0
        self._pause_until = 0.0

    def head(self) -> None:
        """Work for the head now."""
        if self._work(self._head, HEAD_SECONDS):
            self.soon()

    def now(self) -> None:
        """Work now, unless work is due in the next turn."""
        if not self._is_due:
            self._round()

    def soon(self) -> None:
        """Work in the next turn."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._round)

    def _round(self) -> None:
        self._is_due = False
        if self._work(self._head, HEAD_SECONDS):
            self.soon()
        elif self._turns > 0 and self._loop.time() < self._pause_until:
            self._turns -= 1
            self.soon()
        else:
            begun = self._loop.time()
            if not self._behind():
                return
            while self._loop.time() - begun < BEHIND_SECONDS and self._behind():
                pass
            now = self._loop.time()
            self._turns, self._pause_until = TURNS, now + PAUSE_SHARE * (now - begun)
            self.soon()

    def _work(self, piece: Callable[[], bool], seconds: float) -> bool:
        """Do pieces for so long; tell whether there may be more."""
        deadline = self._loop.time() + seconds
        while piece():
            if self._loop.time() > deadline:
                return True
        return False
