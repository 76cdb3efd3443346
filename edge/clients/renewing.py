"""Has a session go on with another token of its client's, or says why not.

Laws: what is not done has changed nothing, and the old token stays until its end. A session is its subject's: no token
makes it another's, and one that began without a token has none. The client's own filter stays; of that it sees what the
new token allows, from its own place on. Nothing of a token stands in an answer. What tokens cost is bounded: how often
one is looked at, and not whether it is good.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from edge.access.grant import Grant, TokenRefused
from edge.clients.owed import Answer, Later
from edge.clients.seldom import Seldom
from edge.clients.view import shared, view
from edge.fanout.link import Client
from edge.fanout.session import Session
from edge.feed.selection import Selections
from edge.wire.messages import authorized
from edge.wire.requests import Id, Refused

TOKENS: Final = 2
"""How many tokens of a client are looked at in ``TOKENS_SECONDS``: to verify one takes up to 0.5 ms."""
TOKENS_SECONDS: Final = 1.0


class Bearers(Protocol):
    """Says whose tokens are."""

    def known(self, token: str) -> Grant | TokenRefused | None:
        """Say what a token allows, or why it is refused; None when its key has to be fetched first."""
        ...

    def ask(self, token: str, told: Callable[[Grant | TokenRefused], None]) -> None:
        """Have this called once, later, when the key is there or is not to be had."""
        ...


class Renewing:
    """The tokens that one client brings on its connection."""

    __slots__ = ("_bearers", "_client", "_looks", "_selections", "_session")

    def __init__(self, session: Session, client: Client, selections: Selections, bearers: Bearers) -> None:
        self._session = session
        self._client = client
        self._selections = selections
        self._bearers = bearers
        self._looks = Seldom(TOKENS, TOKENS_SECONDS)

    def begin(
        self,
        id: Id,  # noqa: A002 - as it is called in the message
        token: str,
        now: float,
        later: Callable[[Id], Later],
    ) -> Answer | Callable[[], Answer] | None:
        """Find out what a token allows; return what goes on with it.

        Return None when that is not known yet: then the answer is owed as ``later`` makes it.
        """
        if self._session.grant is None:
            # Whatever it says.
            return Refused(id, "wrong_subject", "this connection is nobody's: connect with the token")
        if not self._looks.allows(now):
            return Refused(id, "busy", "the token was changed too often; ask again in a second")
        go_on = partial(self._go_on, id, self._session.grant.subject)
        found = self._bearers.known(token)
        if found is not None:
            return partial(go_on, found)
        owed = later(id)
        self._bearers.ask(token, lambda told: owed.give(partial(go_on, told)))
        return None

    def _go_on(self, id: Id, subject: str, found: Grant | TokenRefused) -> Answer:  # noqa: A002
        """Go on with what a token allows."""
        if isinstance(found, TokenRefused):
            return Refused(id, "token_refused" if found.retry_after is None else "busy", found.sentence)
        if found.subject != subject:
            return Refused(id, "wrong_subject", "the token is another user's")
        grant = shared(self._selections, found)
        seen = None if grant is None else view(self._selections, grant, self._session.asked)
        if grant is None or seen is None:
            return Refused(id, "busy", "the server has as many authors in filters as it takes")
        if not self._client.renew(grant, seen.selection):
            return Refused(id, "busy", "the connection takes nothing now; ask again in a second")
        return authorized(id, grant.expires_at)
