"""When a client is told that its token expires, and when its session ends with it.

Laws:

* A session goes on for as long as its token would let its bearer in: until ``LEEWAY_SECONDS`` after it has expired. A
  client that comes back with it after that end is refused.
* A client is told once of a token, 60 to 90 s before it expires: clients that signed in together are told at different
  times, by their sessions' ids. Where less is left when the token comes, it is told at half of that.
* The time by the loop's clock is worked out once, when the token comes: setting the clock later moves no end.

This module knows no clients, and no clock: times of tokens are in seconds since 1970 in UTC, all others by the loop.
"""

import math
from typing import Final
from zlib import crc32

from edge.access.grant import LEEWAY_SECONDS, Grant

_LATEST: Final = 60.0
_EARLIEST: Final = 90.0
_CRC: Final = 1 << 32
SOONEST: Final = 1.0
"""So long after a token has come its client is told at the earliest: where an issuer's clock is late each new token has
expired already, and telling of each at once would have the client bring another as fast as the line carries it."""


class Expiry:
    """The end of a token that has one."""

    __slots__ = ("ends_at", "expires_at", "warns_at")

    def __init__(self, expires_at: float, *, warns_at: float, ends_at: float) -> None:
        self.expires_at = expires_at
        """What the token says, in UTC."""
        self.warns_at = warns_at
        """When the client is to be told; infinite when it is not to be, or was."""
        self.ends_at = ends_at
        """When its session ends."""


def expiry_of(grant: Grant | None, session: str, *, now: float, utc: float, is_told: bool) -> Expiry | None:
    """Return when a session is told, and ends, whose token has come at ``now``, which is ``utc``; None if never.

    ``session`` is its id; ``is_told`` whether its client can be told.
    """
    if grant is None or grant.expires_at is None:
        return None
    left = grant.expires_at - utc
    soonest = min(SOONEST, (left + LEEWAY_SECONDS) / 2)
    warns_at = now + max(left - lead(session), left / 2, soonest) if is_told else math.inf
    return Expiry(grant.expires_at, warns_at=warns_at, ends_at=end_of(grant, now=now, utc=utc))


def end_of(grant: Grant | None, *, now: float, utc: float) -> float:
    """Return when what was granted ends, infinite when it does not; ``now`` is ``utc`` by the loop."""
    if grant is None or grant.expires_at is None:
        return math.inf
    return now + grant.expires_at - utc + LEEWAY_SECONDS


def lead(session: str) -> float:
    """Return how long before its token expires the client of this session is told: 60 to 90 s."""
    return _LATEST + (_EARLIEST - _LATEST) * crc32(session.encode()) / _CRC
