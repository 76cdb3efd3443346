"""What a token allows its bearer, or why it is refused.

A token that is there and not good is refused; it is never taken for none. This module knows no keys, and no tokens.
"""

from dataclasses import dataclass
from typing import Final, Literal

from edge.feed.selection import Selection

Fault = Literal["unconfigured", "unreadable", "key", "signature", "expired", "early", "audience", "issuer", "claims"]
"""Why a token is refused, as the metrics have it; ``unconfigured`` where nobody can sign in."""

LEEWAY_SECONDS: Final = 30.0
"""By how much the issuer's clock and an edge's may differ: for so long a token is good before and after its times."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Who has signed in, and what is allowed to them."""

    subject: str
    claim: Selection | None
    """Whose posts they may see: everybody's when it is None, nobody's when it is empty."""
    expires_at: float | None
    """Until when, in seconds since 1970 in UTC, as the token says; None without an end. See LEEWAY_SECONDS.

    It is a time that RFC 3339 can say.
    """


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """A token that is not taken, and a sentence that says why; nothing of the token stands in it."""

    sentence: str
    why: Fault
    retry_after: float | None = None
    """In how many seconds to bring it again, when it cannot be told now whether it is good; None when it is not."""
