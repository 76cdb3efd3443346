"""How a client says who it is: which token of a request counts.

``Authorization: Bearer …``, the subprotocol ``postcast.token.…`` beside ``postcast.v1``, and, only where that is
allowed, ``?token=…``: the first of these that is there counts alone, be it good or not. Elsewhere a URL is no place for
a token: URLs are logged, and shown. This module knows nothing of tokens but where they are.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from edge.wire.handshake import SUBPROTOCOL, TOKEN_PROTOCOL, Headers, Rejected, tokens

_SCHEME: Final = "bearer"
_SEVERAL: Final = Rejected(400, "Come with one token: there are several in one place.", why="token")
_ALONE: Final = Rejected(
    400, f"A token in a subprotocol comes beside {SUBPROTOCOL}, which is then agreed to.", why="token"
)


class Query(Protocol):
    """A request's query, by names."""

    def getall(self, key: str, default: Sequence[str], /) -> Sequence[str]:
        """Return all values of a name."""
        ...


def token_in(headers: Headers, query: Query, *, in_query: bool) -> str | Rejected | None:
    """Return the token of a request, None without one; ``in_query`` says whether URLs may have tokens."""
    # Between them are spaces (RFC 9110 §11.4); one who writes a tab has brought a token all the same.
    lines = [line.split(None, 1) for line in headers.getall("Authorization", [])]
    bearers = ["".join(token).rstrip() for scheme, *token in filter(None, lines) if scheme.lower() == _SCHEME]
    if bearers:
        return _only(bearers)
    offered = list(tokens(headers, "Sec-WebSocket-Protocol"))
    offers = [each.removeprefix(TOKEN_PROTOCOL) for each in offered if each.startswith(TOKEN_PROTOCOL)]
    if offers:
        # A browser wants one of the subprotocols that it offers, and a token is none to say again.
        return _only(offers) if SUBPROTOCOL in offered else _ALONE
    in_url = query.getall("token", ()) if in_query else ()
    return _only(in_url) if in_url else None


def _only(found: Sequence[str]) -> str | Rejected:
    return found[0] if len(found) == 1 else _SEVERAL
