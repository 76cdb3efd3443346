"""Tokens for the checker's clients, signed with a key that is made at run time and told to the edges."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

_LEEWAY_SECONDS: Final = 30.0
"""For so long an edge takes a token that has expired (docs/protocol.md, "expiring")."""
BRIEF: Final = 8.0
"""Seconds to the end of a token that is renewed on its connection: the edge asks for that after four."""
ENDING: Final = 12.0 - _LEEWAY_SECONDS
"""Seconds to the end of a token that is not renewed: the session ends after twelve."""
LONG: Final = 600.0
"""Seconds to the end of a token that outlasts every schedule."""


@dataclass(frozen=True)
class Bearer:
    """A client that signs in. ``claim`` is whose posts it may see: everybody's when it is None."""

    issuer: "Issuer"
    claim: frozenset[int] | None = None
    seconds: float = LONG
    renews: bool = True
    """Whether it brings another token when the edge says that its own expires."""
    subject: str = field(default_factory=lambda: secrets.token_hex(8))
    """Another one for each schedule, since an edge remembers what a subject has acknowledged."""

    def token(self) -> str:
        """Return a token that begins now."""
        return self.issuer.token(self.subject, self.claim, self.seconds)


class Issuer:
    """Has the key."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._key = secrets.token_urlsafe(48)
        self._clock = clock
        self.issued = 0
        """How many tokens were signed."""

    @property
    def environment(self) -> dict[str, str]:
        """What makes an edge take its tokens."""
        return {"JWT_SECRET_KEY": self._key}

    def token(self, subject: str, claim: frozenset[int] | None, seconds: float) -> str:
        """Sign a token that ends in so many seconds."""
        self.issued += 1
        claims: dict[str, Any] = {"sub": subject, "exp": self._clock() + seconds}
        if claim is not None:
            claims["postcast"] = {"authors": sorted(claim)}
        return jwt.encode(claims, self._key, "HS256")
