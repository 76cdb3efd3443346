"""Who waits for several goes on with the first, and leaves nothing behind."""

import asyncio

import pytest

from runtime.waiting import GivenUp, first, uncancelled


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


async def give_up() -> None:
    """Wait for what a library cancels by itself."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def test_what_others_have_cancelled_is_an_error_and_no_cancellation() -> None:
    with pytest.raises(GivenUp):
        await first(give_up(), Waiting().wait())
    with pytest.raises(GivenUp), uncancelled():
        await give_up()


async def test_who_is_cancelled_and_waits_for_what_others_have_cancelled_is_cancelled() -> None:
    async def wait() -> None:
        with uncancelled():
            try:
                await asyncio.Event().wait()
            finally:
                await give_up()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()


async def test_a_time_limit_is_one_whatever_it_ends() -> None:
    async def wait() -> None:
        with uncancelled():
            async with asyncio.timeout(0.01):
                with uncancelled():
                    await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await wait()
