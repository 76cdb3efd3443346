"""Who brings a token, by the keys and the clock."""

import asyncio
from collections import Counter

import pytest

from edge.access.bearers import Bearers, Given
from edge.access.freshness import APART_SECONDS
from edge.access.grant import Grant, TokenRefused
from edge.access.jwks import PublishedKeys
from edge.access.keys import Key, Keys, public_key_of, secrets_of
from edge.access.sign_in import SignIn
from edge.access.tokens import Rules
from tests.edge.kit.issuer import Issuer, Signer, jwks, public_pem
from tests.edge.kit.tokens import NOW, SECRET, flask, signed


class Shop:
    """An issuer, and an edge that knows its URL and a secret."""

    def __init__(self, *signers: Signer, fixed: tuple[Key, ...] = ()) -> None:
        self.issuer = Issuer(*signers)
        self.published = PublishedKeys(
            "https://x", [*secrets_of(SECRET), *fixed], outcomes=Counter(), fetch=self.issuer.fetch
        )
        self.bearers = Bearers(self.published, Rules(), clock=lambda: NOW)

    async def says(self, token: str) -> str | float:
        """Return the subject, or why it is refused, or when to come back."""
        found = await self.bearers.grant(token)
        if isinstance(found, Grant):
            return found.subject
        return found.why if found.retry_after is None else found.retry_after

    def forget(self) -> None:
        """Have the last question been long ago."""
        self.published._freshness._asked_at -= APART_SECONDS  # noqa: SLF001


async def test_a_token_is_judged_when_it_is_brought() -> None:
    """The same token is good now, and not later."""
    now = NOW
    bearers = Bearers(Given(Keys(secrets_of(f"other,{SECRET}"))), Rules(), clock=lambda: now)
    port: SignIn = bearers
    token = flask("7", seconds=900)
    assert port.known(token) == await port.grant(token) == Grant("7", None, NOW + 900)
    now += 1000
    refused = port.known(token)
    assert isinstance(refused, TokenRefused)
    assert (refused.why, refused.retry_after) == ("expired", None)


async def test_what_no_key_is_for_is_refused_at_once_where_there_are_no_others() -> None:
    given = Given(Keys())
    bearers = Bearers(given, Rules())
    for token, why in ((signed({"sub": "7"}), "key"), ("", "unreadable"), (Signer().token(), "key")):
        refused = bearers.known(token)
        assert refused == await bearers.grant(token)
        assert isinstance(refused, TokenRefused)
        assert (refused.why, refused.retry_after) == (why, None)
    assert await given.ask()


async def test_a_key_that_is_not_known_is_asked_for() -> None:
    """And then it is known: nobody waits for it again."""
    one = Signer()
    shop = Shop(one)
    assert shop.bearers.known(one.token()) is None
    assert await shop.says(one.token()) == "7"
    assert shop.bearers.known(one.token("8")) == Grant("8", None, None)
    assert shop.issuer.asked == 1


async def test_a_key_that_was_taken_back_signs_nobody_in() -> None:
    old, new = Signer("old"), Signer("new")
    shop = Shop(old)
    assert await shop.says(old.token()) == "7"
    shop.issuer.body = jwks(new)
    shop.forget()
    assert await shop.says(new.token()) == "7"
    shop.forget()
    assert await shop.says(old.token()) == "key"


async def test_a_stranger_has_the_issuer_asked_once_in_a_while_and_shuts_nobody_out() -> None:
    """Any name can be in a header. Whoever has a new key meanwhile is told to come back, and not refused for good."""
    one, new = Signer(), Signer("new")
    shop = Shop(one)
    assert await shop.says(Signer("x").token()) == "key"
    later = [await shop.says(Signer(f"x{number}").token()) for number in range(100)]
    assert all(isinstance(each, float) and 0 < each <= APART_SECONDS for each in later)
    shop.issuer.body = jwks(one, new)
    assert isinstance(await shop.says(new.token()), float)
    assert await shop.says(one.token()) == "7"
    assert shop.issuer.asked == 1
    shop.forget()
    assert await shop.says(new.token()) == "7"


async def test_while_the_issuer_is_away_known_keys_are_good_and_others_come_back() -> None:
    one = Signer()
    shop = Shop(one)
    shop.issuer.is_away = True
    first = await shop.says(one.token())
    assert isinstance(first, float)
    assert await shop.says(flask("9")) == "9"
    assert await shop.says(signed({"sub": "9"}, "another secret of thirty-two bytes!")) == "signature"
    shop.issuer.is_away = False
    shop.forget()
    assert await shop.says(one.token()) == "7"
    shop.issuer.is_away = True
    shop.forget()
    assert isinstance(await shop.says(Signer("new").token()), float)
    assert await shop.says(one.token()) == "7"


async def test_a_signature_that_is_not_good_asks_nobody_where_the_key_is_known() -> None:
    one, impostor = Signer(), Signer()
    shop = Shop(one)
    assert await shop.says(one.token()) == "7"
    shop.forget()
    assert await shop.says(impostor.token()) == "signature"
    assert shop.issuer.asked == 1


@pytest.mark.parametrize("kid", [None, "new"])
async def test_a_key_beside_those_that_are_given_is_asked_for_too(kid: str | None) -> None:
    """A key without a name is tried first, and may not be the one."""
    new = Signer("new")
    other = public_key_of(public_pem(Signer().key))
    shop = Shop(new, fixed=(other,))
    token = signed({"sub": "7"}, new.key, "EdDSA", {} if kid is None else {"kid": kid})
    assert shop.bearers.known(token) is None
    assert await shop.says(token) == ("7" if kid else "signature")


async def test_many_who_wait_for_a_key_are_answered_together() -> None:
    one = Signer()
    shop = Shop(one)
    shop.issuer.may_answer.clear()
    waiting = [asyncio.create_task(shop.says(one.token(str(number)))) for number in range(100)]
    await shop.issuer.was_asked.wait()
    shop.issuer.may_answer.set()
    assert await asyncio.gather(*waiting) == [str(number) for number in range(100)]
    assert shop.issuer.asked == 1
