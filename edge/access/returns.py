"""Says which clients are taken in now, and when the others are to come back, so that they come in turn.

Laws:

* In any t seconds at most the rate times (t + ``BURST_SECONDS``) clients are taken in.
* Clients that are told when to come back are told instants that lie evenly, ``SHARE`` of the rate a second; what
  is left is for clients that come for the first time.
* Nobody is told to wait for more than ``MOST_SECONDS`` beyond the least that was asked for: then the instants begin
  anew, so that a stranger who comes again and again puts nobody off for long.

Time is told, in seconds of any clock that never runs backwards. This module knows no clients.
"""

import math
from typing import Final

BURST_SECONDS: Final = 1.0
"""How many seconds' worth of clients are taken in at once: a few that come together need no turns."""
SHARE: Final = 0.8
MOST_SECONDS: Final = 120.0
"""At the rate that is the default, 60,000 clients."""


class Returns:
    """Clients that come, at a ``rate`` that an edge can take in (connections a second; 0 for no limit)."""

    def __init__(self, rate: float) -> None:
        self._apart = 1 / rate if rate else 0.0
        # At less than one a second there is room for one all the same.
        self._burst = max(BURST_SECONDS, self._apart)
        # The instant at which all that were taken in would have come at exactly that rate (as in edge.wire.allowance).
        self._taken = -math.inf
        # The newest instant that was told.
        self._told = -math.inf

    def wait(self, now: float) -> float | None:
        """Take a client in, and return None; or return after how many seconds it is to come back."""
        taken = max(self._taken, now) + self._apart
        if taken - now > self._burst:
            # By the first instant that is told there is room again.
            return self.turn(now, least=self._apart)
        self._taken = taken
        return None

    def turn(self, now: float, least: float = 0.0) -> float:
        """Return after how many seconds a client is to come back that is not served any longer, or not now."""
        told = max(self._told, now) + self._apart / SHARE
        if told - now > MOST_SECONDS:
            told = now
        self._told = told
        return least + told - now
