"""Whose a token is, as the rest of the edge asks for it."""

import asyncio

from edge.access.grant import TokenRefused
from edge.access.sign_in import NobodySignsIn, SignIn
from tests.edge.kit.sign_in import REFUSED, MemorySignIn, granted


async def test_where_nobody_can_sign_in_a_token_is_refused() -> None:
    """It is never taken for none, also not where no token could be good."""
    nobody: SignIn = NobodySignsIn()
    refused = nobody.known("a.b.c")
    assert isinstance(refused, TokenRefused)
    assert (refused.why, refused.retry_after) == ("unconfigured", None)
    assert await nobody.grant("a.b.c") == refused


async def test_a_double_knows_refuses_and_waits() -> None:
    """What other tests sign in with keeps the port's word."""
    sign_in = MemorySignIn({"good": granted("7")})
    port: SignIn = sign_in
    assert (port.known("good"), port.known("bad")) == (granted("7"), REFUSED)
    sign_in.fetched["late"] = granted("9", 5)
    assert port.known("late") is None
    late = asyncio.ensure_future(port.grant("late"))
    await sign_in.awaited.wait()
    assert not late.done()
    sign_in.fetch()
    assert await late == sign_in.known("late")
