"""Waiting for whichever of several comes first, for what may be given up by others, and no longer than one may take."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_Result = TypeVar("_Result")


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


async def within(seconds: float, awaitable: Awaitable[_Result]) -> _Result:
    """Return what it returns; at most so many seconds are waited, also for its end once it is cancelled.

    ``asyncio.timeout`` waits until what it has cancelled is done, and a library may take its time: closing a connection
    by TLS takes half a minute when the peer is silent. Raises :class:`TimeoutError`, and :class:`GivenUp`.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        done, _ = await asyncio.wait([task], timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_unheard)
    if not done:
        raise TimeoutError
    with uncancelled():
        return task.result()


def _unheard(task: asyncio.Future[Any]) -> None:
    """Take an error that nobody waits for any more, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()


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
