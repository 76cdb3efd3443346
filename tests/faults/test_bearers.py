"""The tokens of the checker's clients are of the form that edges take, and of no key but its own."""

import jwt
import pytest

from integration.faults.bearers import BRIEF, ENDING, LONG, Bearer, Issuer


def claims(issuer: Issuer, token: str) -> object:
    [key] = issuer.environment.values()
    return jwt.decode(token, key, ["HS256"], options={"verify_exp": False})


def test_a_token_says_who_and_whose_posts_and_until_when() -> None:
    issuer = Issuer(clock=lambda: 1000.0)
    bearer = Bearer(issuer, frozenset({5, 2}), seconds=BRIEF, subject="a")
    assert claims(issuer, bearer.token()) == {"sub": "a", "exp": 1008.0, "postcast": {"authors": [2, 5]}}


def test_nothing_and_everything_are_told_apart() -> None:
    issuer = Issuer(clock=lambda: 0.0)
    assert claims(issuer, issuer.token("a", None, LONG)) == {"sub": "a", "exp": 600.0}
    assert claims(issuer, issuer.token("a", frozenset(), LONG)) == {
        "sub": "a",
        "exp": 600.0,
        "postcast": {"authors": []},
    }


def test_a_token_that_ends_is_still_taken_and_all_are_counted() -> None:
    """For its leeway: so it ends within a schedule."""
    assert 0 < ENDING + 30 < BRIEF + 30
    issuer = Issuer()
    for _ in range(3):
        Bearer(issuer).token()
    assert issuer.issued == 3


def test_two_checkers_have_two_keys_and_two_bearers_are_two_users() -> None:
    one, other = Issuer(), Issuer()
    with pytest.raises(jwt.InvalidSignatureError):
        claims(one, Bearer(other).token())
    assert Bearer(one).subject != Bearer(one).subject
