"""Says when a replay may begin for an old page that somebody asks for, so that all addresses have their share.

Laws:

* The instants that are given away lie ``APART_SECONDS`` apart. An address has one at a time: another one only when it
  was let in by it, or has let it pass.
* An address that was told its instant is let in once, from then on and for ``GRACE_SECONDS``, whoever else asks. So in
  any t seconds at most (t + ``GRACE_SECONDS``) / ``APART_SECONDS`` + 1 replays begin.
* No more than ``MOST`` instants lie ahead. Where there are so many, an address is told when it may ask again, and has
  none. So at most (``GRACE_SECONDS`` + ``MOST``) / ``APART_SECONDS`` are remembered.

Time is told, in seconds of any clock that never runs backwards.
"""

from typing import Final

APART_SECONDS: Final = 1.0
GRACE_SECONDS: Final = 90.0
"""A client that has failed some times in a row comes when its own wait is over, up to a minute, and not before."""
MOST: Final = 60
"""So nobody waits for longer than a minute for an instant."""


class Pace:
    """Gives away instants to the addresses of clients."""

    def __init__(self) -> None:
        self._next_at = 0.0
        # In the order of the instants.
        self._instants: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._instants)

    def wait(self, address: str, now: float, share: float) -> float | None:
        """Let an address in, and return None; or return after how many seconds it is to ask again.

        ``share`` is a random number from 0 to 1: those for whom there is no instant come at different times.
        """
        self._forget(now)
        instant = self._instants.get(address)
        if instant is None:
            instant = max(self._next_at, now)
            if instant - now > MOST * APART_SECONDS:
                return (instant - now) * (1 + share) / 2
            self._next_at = instant + APART_SECONDS
            if instant > now:
                self._instants[address] = instant
        if instant > now:
            return instant - now
        self._instants.pop(address, None)
        return None

    def _forget(self, now: float) -> None:
        """Forget the instants that were let pass."""
        for address, instant in list(self._instants.items()):
            if instant + GRACE_SECONDS > now:
                break
            del self._instants[address]
