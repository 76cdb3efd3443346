"""Waiting for whichever of several comes first, and for what may be given up by others."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


class GivenUp(ConnectionError):
    """A library has cancelled what this task waited for."""


async def first(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Return when the first is done, with its error if it has one; the others are cancelled.

    Raises :class:`GivenUp` where the first was cancelled by others.
    """
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        with uncancelled():
            for task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def uncancelled() -> Iterator[None]:
    """Turn a CancelledError that nobody has asked this task for into :class:`GivenUp`.

    aiormq and aiokafka cancel futures of their own when a connection is lost. Whoever waits for one of these is not
    cancelled, but what reaches him looks the same, and would end his task without a word.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise GivenUp("the connection was given up while an answer was waited for") from error
