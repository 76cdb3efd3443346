"""Says who a client is that asks for posts, whatever it speaks: whose its token is, or how it is refused.

Law: a token that is there and not good is refused, and never taken for none. Nothing of a token goes any further.
"""

from collections import Counter
from typing import Final, Protocol

from edge.access.credentials import Query, token_in
from edge.access.grant import Grant, TokenRefused
from edge.access.sign_in import Demands, Outcome, SignIn
from edge.clients.view import shared
from edge.feed.selection import Selections
from edge.wire.handshake import Headers, Rejected

_ANONYMOUS: Final = Rejected(401, "Sign in first: posts are shown here to who brings a token.", why="anonymous")


class Asking(Protocol):
    """What has to be known of a request."""

    @property
    def headers(self) -> Headers:
        """Its headers."""
        ...

    @property
    def query(self) -> Query:
        """Its query."""
        ...


class Identification:
    """Asks ``sign_in`` whose tokens are; counts ``outcomes``. Claims count among the ``selections``."""

    def __init__(
        self, sign_in: SignIn, demands: Demands, *, outcomes: Counter[Outcome], selections: Selections, full: Rejected
    ) -> None:
        self._sign_in = sign_in
        self._demands = demands
        self._outcomes = outcomes
        self._selections = selections
        self._full = full

    async def grant(self, request: Asking) -> Grant | Rejected | None:
        """Return what a client's token allows; None for one without a token, where none is demanded."""
        token = token_in(request.headers, request.query, in_query=self._demands.in_query)
        if isinstance(token, Rejected):
            return token
        if token is None:
            if self._demands.required:
                self._outcomes["anonymous"] += 1
                return _ANONYMOUS
            return None
        found = await self._sign_in.grant(token)
        if isinstance(found, TokenRefused):
            self._outcomes[found.why] += 1
            if found.retry_after is None:
                return Rejected(401, found.sentence, why="token")
            return Rejected(503, found.sentence, found.retry_after, why="keys")
        self._outcomes["granted"] += 1
        return shared(self._selections, found) or self._full
