"""Which token of a request counts."""

import pytest
from multidict import CIMultiDict, MultiDict

from edge.access.credentials import token_in
from edge.wire.handshake import Rejected

BEARER = ("Authorization", "Bearer a.b.c")
OFFER = ("Sec-WebSocket-Protocol", "postcast.v1, postcast.token.d.e.f")
ALONE = ("Sec-WebSocket-Protocol", "postcast.token.d.e.f")


def counts(*headers: tuple[str, str], query: str | None = None, in_query: bool = True) -> str | int | None:
    """Return the token that counts, the status if it is refused, or None."""
    asked = MultiDict([] if query is None else [("token", query)])
    found = token_in(CIMultiDict(headers), asked, in_query=in_query)
    return found.status if isinstance(found, Rejected) else found


def test_the_first_place_that_has_one_counts_alone() -> None:
    """What else is there is not looked at, be the first good or not."""
    assert counts(BEARER, OFFER, query="g.h.i") == "a.b.c"
    assert counts(BEARER, ALONE) == "a.b.c"
    assert counts(("Authorization", "Bearer"), OFFER) == ""
    assert counts(OFFER, query="g.h.i") == "d.e.f"
    assert counts(query="g.h.i") == "g.h.i"
    assert counts(query="") == ""
    assert counts() is None


def test_a_url_has_no_token_unless_it_may() -> None:
    """Logs and histories show it. What is not looked at is not refused either."""
    assert counts(query="g.h.i", in_query=False) is None
    assert counts(OFFER, query="g.h.i", in_query=False) == "d.e.f"


def test_a_token_in_a_subprotocol_stands_beside_ours() -> None:
    """A browser wants one of those that it offers to be agreed to, and the token is not said again."""
    assert counts(ALONE) == 400
    assert counts(("Sec-WebSocket-Protocol", "chat"), ALONE) == 400
    assert counts(ALONE, ("Sec-WebSocket-Protocol", "postcast.v1")) == "d.e.f"
    assert counts(("Sec-WebSocket-Protocol", "postcast.v1, postcast.token.")) == ""
    assert counts(("Sec-WebSocket-Protocol", "postcast.v1, postcast.tokens")) is None


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("bearer  a.b.c ", "a.b.c"),
        ("Bearer\ta.b.c", "a.b.c"),
        (" ", None),
        ("BEARER a.b.c", "a.b.c"),
        ("Bearer", ""),
        ("Basic YTpi", None),
        ("Bearera.b.c", None),
    ],
)
def test_of_the_schemes_it_is_bearer(value: str, token: str | None) -> None:
    """In any case (RFC 9110 §11.1); what a proxy asks for with another is not for us."""
    assert counts(("Authorization", value)) == token


def test_several_tokens_in_one_place_are_none() -> None:
    """Which is meant cannot be known; a proxy may have looked at the other."""
    assert counts(BEARER, BEARER) == 400
    assert counts(OFFER, ALONE) == 400
    twice = token_in(CIMultiDict(), MultiDict([("token", "a"), ("token", "b")]), in_query=True)
    assert isinstance(twice, Rejected)
    assert twice.status == 400
    assert counts(("Authorization", "Basic YTpi"), BEARER) == "a.b.c"
