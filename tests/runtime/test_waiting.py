"""Who waits for several goes on with the first, and leaves nothing behind."""

import asyncio
import gc

import pytest

from runtime.waiting import GivenUp, first, uncancelled, within


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


async def test_within_a_limit_there_is_a_result_or_an_error() -> None:
    assert await within(60, asyncio.sleep(0, 7)) == 7
    with pytest.raises(ValueError, match="failed"):
        await within(60, fail())
    with pytest.raises(GivenUp):
        await within(60, give_up())


class Stubborn:
    """Takes its time once it is cancelled, and fails then."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def wait(self) -> None:
        """Wait."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.may_end.wait()
            raise ValueError("too late")


async def test_beyond_the_limit_nobody_is_waited_for() -> None:
    """Nor is asyncio told of an error that comes then."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    stubborn = Stubborn()
    with pytest.raises(TimeoutError):
        await within(0.01, stubborn.wait())
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert len(others) == 1
    stubborn.may_end.set()
    await asyncio.wait(others)
    del others
    gc.collect()
    assert told == []


async def test_who_is_cancelled_meanwhile_takes_it_along() -> None:
    waiting = Waiting()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await within(60, waiting.wait())
    await asyncio.sleep(0.01)
    assert waiting.has_ended
