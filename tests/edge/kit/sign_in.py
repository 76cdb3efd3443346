"""A sign-in that knows some tokens, has to fetch the keys of others, and refuses the rest."""

import asyncio
from collections.abc import Callable, Mapping

from edge.access.grant import Grant, TokenRefused
from edge.feed.selection import Selection

REFUSED = TokenRefused("The token is none of ours.", "signature")


def granted(subject: str = "7", *authors: int, expires_at: float | None = None, all_authors: bool = True) -> Grant:
    """Make a grant for everything, for these authors, or, without any and not ``all_authors``, for nothing."""
    return Grant(subject, None if all_authors and not authors else Selection(authors), expires_at)


class MemorySignIn:
    """Keeps the port's word.

    What ``fetched`` holds is known only after :meth:`fetch`: until then :meth:`grant` waits. ``asked`` are all tokens.
    """

    def __init__(self, grants: Mapping[str, Grant | TokenRefused] | None = None) -> None:
        self.grants: dict[str, Grant | TokenRefused] = dict(grants or {})
        self.fetched: dict[str, Grant | TokenRefused] = {}
        self.asked: list[str] = []
        self.waiting = 0
        self.awaited = asyncio.Event()
        """Set when somebody waits for a key."""
        self._here = asyncio.Event()

    def fetch(self) -> None:
        """Have the keys that are waited for arrive."""
        self.grants.update(self.fetched)
        self.fetched.clear()
        self._here.set()
        self._here = asyncio.Event()

    def known(self, token: str) -> Grant | TokenRefused | None:
        """Say what is known without waiting."""
        self.asked.append(token)
        return None if token in self.fetched else self.grants.get(token, REFUSED)

    async def grant(self, token: str) -> Grant | TokenRefused:
        """Say it once the key was fetched."""
        while (found := self.known(token)) is None:
            self.waiting += 1
            self.awaited.set()
            try:
                await self._here.wait()
            finally:
                self.waiting -= 1
        return found


class Desk:
    """Says whose the tokens of connected clients are, those in ``unknown`` only after :meth:`fetch`."""

    def __init__(self, grants: Mapping[str, Grant | TokenRefused] | None = None) -> None:
        self.grants = dict(grants or {})
        self.unknown: set[str] = set()
        self.asked: list[str] = []
        self._told: list[tuple[str, Callable[[Grant | TokenRefused], None]]] = []

    def known(self, token: str) -> Grant | TokenRefused | None:
        """Say what is known."""
        self.asked.append(token)
        return None if token in self.unknown else self.grants.get(token, REFUSED)

    def ask(self, token: str, told: Callable[[Grant | TokenRefused], None]) -> None:
        """Say it when the keys are there."""
        self._told.append((token, told))

    def fetch(self) -> None:
        """Have all keys arrive."""
        waiting, self._told = self._told, []
        self.unknown.clear()
        for token, told in waiting:
            told(self.grants.get(token, REFUSED))
