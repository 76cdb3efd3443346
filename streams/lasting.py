"""Tasks of a service that go on for as long as it does."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar

from mode import Service

from runtime.waiting import uncancelled

S = TypeVar("S", bound=Service)


def lasting(run: Callable[[S], Awaitable[None]]) -> Callable[[S], Awaitable[None]]:
    """Make a method a task of its service, as ``Service.task`` does.

    mode takes a task that ends with a CancelledError for one that was told to end, whoever raised it. Here one that
    nobody asked for is an error as any other, and ends the worker with a traceback.
    """

    @Service.task
    @wraps(run)
    async def guarded(self: S) -> None:
        with uncancelled():
            await run(self)

    return guarded
