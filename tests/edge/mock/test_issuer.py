"""A mock gives tokens to whoever asks."""

from http import HTTPStatus

import aiohttp
import jwt
import pytest
from aiohttp import web

from edge.access.grant import LEEWAY_SECONDS
from edge.mock.issuer import PATH, Issuer
from tests.edge.kit.listening import listening

NOW = 1_800_000_000.0


def claims(issuer: Issuer, token: str | None) -> dict[str, object]:
    """Return what a token says, whose signature is the issuer's."""
    assert token is not None
    found: dict[str, object] = jwt.decode(
        token, issuer.secret, algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False}
    )
    return found


def test_a_token_says_who_and_until_when_and_whose_posts() -> None:
    """For an hour, or for as long as is said; no authors are not the same as none being named."""
    issuer = Issuer(utc=lambda: NOW)
    assert claims(issuer, issuer.token("ada")) == {"sub": "ada", "exp": NOW + 3600}
    assert claims(issuer, issuer.token("ada", [])) == {"sub": "ada", "exp": NOW + 3600, "postcast": {"authors": []}}
    assert claims(issuer, issuer.token("ada", [7], -5)) == {"sub": "ada", "exp": NOW - 5, "postcast": {"authors": [7]}}
    short = Issuer(4, utc=lambda: NOW)
    assert claims(short, short.token("ada"))["exp"] == NOW + 4


def test_each_issuer_has_a_secret_of_its_own() -> None:
    assert Issuer().secret != Issuer().secret
    assert len(Issuer().secret) == 64


def test_the_last_token_of_each_subject_is_taken_for_so_long() -> None:
    """A session goes on until the leeway has passed, so the token says an earlier end."""
    issuer = Issuer(utc=lambda: NOW)
    issuer.give_last(2)
    for subject in ("ada", "me"):
        assert claims(issuer, issuer.token(subject))["exp"] == NOW + 2 - LEEWAY_SECONDS
        assert issuer.token(subject) is None
    issuer.give()
    assert claims(issuer, issuer.token("ada"))["exp"] == NOW + 3600
    issuer.give_last(2)
    assert issuer.token("ada") is not None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"sub": "me", "exp": NOW + 3600}),
        ("?subject=ada&authors=7,9&seconds=4.5", {"sub": "ada", "exp": NOW + 4.5, "postcast": {"authors": [7, 9]}}),
        ("?authors=", {"sub": "me", "exp": NOW + 3600, "postcast": {"authors": []}}),
        ("?authors=x", None),
        ("?authors=-1", None),
        ("?seconds=x", None),
        ("?seconds=nan", None),
        ("?seconds=1e300", None),
    ],
)
async def test_whoever_asks_gets_one(query: str, expected: dict[str, object] | None) -> None:
    """As text, which no cache keeps; what makes no sense is said."""
    issuer = Issuer(utc=lambda: NOW)
    application = web.Application()
    application.add_routes([issuer.route()])
    async with listening(application) as port, aiohttp.ClientSession() as browser:
        async with browser.get(f"http://127.0.0.1:{port}{PATH}{query}") as answer:
            text = await answer.text()
        assert answer.headers["Cache-Control"] == "no-store"
        if expected is None:
            assert answer.status == HTTPStatus.BAD_REQUEST
        else:
            assert (answer.status, claims(issuer, text)) == (HTTPStatus.OK, expected)


async def test_who_asks_when_there_are_none_is_told_so() -> None:
    issuer = Issuer()
    issuer.give_last(1)
    issuer.token("me")
    application = web.Application()
    application.add_routes([issuer.route()])
    async with (
        listening(application) as port,
        aiohttp.ClientSession() as browser,
        browser.get(f"http://127.0.0.1:{port}{PATH}") as answer,
    ):
        assert (answer.status, await answer.text()) == (503, "There are no tokens just now.\n")
