"""Signs in the bearers of tokens: puts the keys that there are, and the time, to the core that reads tokens."""

import time
from collections.abc import Callable
from typing import Final, Protocol

from edge.access.grant import Grant, TokenRefused
from edge.access.keys import Keys
from edge.access.tokens import Rules, Token, read, verify

_NO_KEY: Final = TokenRefused("There is no key here for the token.", "key")
_AWAY: Final = "Whether the token is good cannot be told now. Try again."
_LEAST_SECONDS: Final = 1.0


class KeySource(Protocol):
    """Where keys come from."""

    @property
    def keys(self) -> Keys:
        """All keys that are known."""
        ...

    @property
    def wait(self) -> float | None:
        """In how many seconds others may be had; None for never, 0 for as soon as they are asked for."""
        ...

    async def ask(self) -> bool:
        """Ask for others, and tell whether there was an answer; only when there is nothing to wait for."""
        ...


class Given:
    """The keys that an edge was given: there are no others to be had."""

    wait = None

    def __init__(self, keys: Keys) -> None:
        self.keys = keys

    async def ask(self) -> bool:
        """Ask nobody."""
        return True


class Bearers:
    """Signs in with the keys of a source; ``clock`` returns the seconds since 1970."""

    def __init__(self, source: KeySource, rules: Rules, *, clock: Callable[[], float] = time.time) -> None:
        self._source = source
        self._rules = rules
        self._clock = clock

    def known(self, token: str) -> Grant | TokenRefused | None:
        """Say what a token allows, or why it is refused; None when its key has to be asked for first."""
        found = read(token)
        return found if isinstance(found, TokenRefused) else self._known(found)

    async def grant(self, token: str) -> Grant | TokenRefused:
        """Say it once the key is there, or is not to be had."""
        found = read(token)
        if isinstance(found, TokenRefused):
            return found
        known = self._known(found)
        if known is not None:
            return known
        if not await self._source.ask():
            return self._later()
        # Whoever publishes keys has none of this name now.
        return self._verified(found) or _NO_KEY

    def _known(self, token: Token) -> Grant | TokenRefused | None:
        verified = self._verified(token)
        if self._source.wait is None or token.algorithm == "HS256":
            # No secret is ever published.
            return verified or _NO_KEY
        is_unsigned = isinstance(verified, TokenRefused) and verified.why == "signature"
        if verified is not None and not (is_unsigned and not self._source.keys.has(token.algorithm, token.kid)):
            return verified
        # A key may be newer than what is known, and be asked for too often: nobody is refused for good over that.
        return self._later() if self._source.wait else None

    def _verified(self, token: Token) -> Grant | TokenRefused | None:
        return verify(token, self._source.keys, self._rules, self._clock())

    def _later(self) -> TokenRefused:
        return TokenRefused(_AWAY, "key", retry_after=max(_LEAST_SECONDS, self._source.wait or 0.0))
