"""Signs in the bearers of tokens: puts the keys that there are, and the time, to the core that reads tokens."""

import time
from collections.abc import Callable

from edge.access.grant import Grant, TokenRefused
from edge.access.keys import Keys
from edge.access.tokens import NO_KEY, Rules, read, verify


class Bearers:
    """Signs in with the keys that an edge was given; ``clock`` returns the seconds since 1970."""

    def __init__(self, keys: Keys, rules: Rules, *, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._rules = rules
        self._clock = clock

    def known(self, token: str) -> Grant | TokenRefused:
        """Say what a token allows, or why it is refused."""
        found = read(token)
        if isinstance(found, TokenRefused):
            return found
        return verify(found, self._keys, self._rules, self._clock()) or NO_KEY

    async def grant(self, token: str) -> Grant | TokenRefused:
        """Say it: there is nothing to wait for."""
        return self.known(token)
