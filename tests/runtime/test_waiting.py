"""Who waits for several goes on with the first, and leaves nothing behind."""

import asyncio

import pytest

from runtime.waiting import first


class Waiting:
    """Waits for ever, and needs a turn of the loop for its end."""

    has_ended = False

    async def wait(self) -> None:
        """Wait."""
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.has_ended = True


async def fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("failed")


async def test_the_first_that_is_done_ends_the_others() -> None:
    """They have ended by then, also what they do at their end."""
    waiting = Waiting()
    await first(waiting.wait(), asyncio.sleep(0))
    assert waiting.has_ended


async def test_the_error_of_the_first_is_raised() -> None:
    waiting = Waiting()
    with pytest.raises(ValueError, match="failed"):
        await first(waiting.wait(), fail())
    assert waiting.has_ended


async def test_whoever_is_cancelled_takes_all_along() -> None:
    waiting = Waiting()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await first(waiting.wait())
    assert waiting.has_ended
