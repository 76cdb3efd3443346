"""Whose tokens are, said later."""

import asyncio

import structlog

from edge.access.grant import Grant, TokenRefused
from edge.clients.key_waits import FAILED, KeyWaits
from tests.edge.kit.sign_in import MemorySignIn, granted


async def test_what_is_known_is_said_at_once_and_what_has_to_be_fetched_later() -> None:
    """Each once, and nothing is kept of it."""
    sign_in = MemorySignIn({"known": granted("7")})
    sign_in.fetched["unknown"] = granted("8")
    waits = KeyWaits(sign_in)
    assert (waits.known("known"), waits.known("unknown")) == (granted("7"), None)
    told: asyncio.Queue[Grant | TokenRefused] = asyncio.Queue()
    waits.ask("unknown", told.put_nowait)
    await sign_in.awaited.wait()
    assert (len(waits), told.empty()) == (1, True)
    sign_in.fetch()
    assert await told.get() == granted("8")
    await asyncio.sleep(0)
    assert (len(waits), told.empty()) == (0, True)


async def test_a_fault_is_logged_and_the_client_told_to_come_again() -> None:
    """It would wait for ever else. Nothing of the token is logged."""

    class Faulty(MemorySignIn):
        async def grant(self, token: str) -> Grant | TokenRefused:
            raise RuntimeError(f"of {len(token)} characters")

    told: asyncio.Queue[Grant | TokenRefused] = asyncio.Queue()
    with structlog.testing.capture_logs() as logged:
        KeyWaits(Faulty()).ask("a token", told.put_nowait)
        assert await told.get() == FAILED
    assert [(each["event"], "a token" in str(each)) for each in logged] == [("sign_in.failed", False)]
