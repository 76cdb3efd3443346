"""Who brings a token, by the keys and the clock."""

from edge.access.bearers import Bearers
from edge.access.grant import Grant, TokenRefused
from edge.access.keys import Keys, secrets_of
from edge.access.sign_in import SignIn
from edge.access.tokens import Rules
from tests.edge.kit.tokens import NOW, SECRET, flask, signed


async def test_a_token_is_judged_when_it_is_brought() -> None:
    """The same token is good now, and not later."""
    now = NOW
    bearers = Bearers(Keys(secrets_of(f"other,{SECRET}")), Rules(), clock=lambda: now)
    port: SignIn = bearers
    token = flask("7", seconds=900)
    assert port.known(token) == await port.grant(token) == Grant("7", None, NOW + 900)
    now += 1000
    refused = port.known(token)
    assert isinstance(refused, TokenRefused)
    assert (refused.why, refused.retry_after) == ("expired", None)


async def test_what_no_key_is_for_is_refused_at_once() -> None:
    """There is nobody to ask for another."""
    bearers = Bearers(Keys(), Rules())
    for token, why in ((signed({"sub": "7"}), "key"), ("", "unreadable")):
        refused = await bearers.grant(token)
        assert isinstance(refused, TokenRefused)
        assert refused.why == why
