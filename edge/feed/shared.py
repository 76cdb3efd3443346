"""A question that many ask at once, put once for all of them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Asks ``ask`` one time after the other, at least ``apart`` seconds between two beginnings.

    Those who come while a question is under way share the next one: the answer to that may be older than they are.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], *, apart: float = 0) -> None:
        self._ask = ask
        self._apart = apart
        self._asking = asyncio.Lock()
        self._begun = self._answered = 0
        self._next_at = 0.0
        self._answer: T | None = None

    async def answer(self) -> T | None:
        """Return an answer to a question that is put after this call."""
        before, clock = self._begun, asyncio.get_running_loop().time
        async with self._asking:
            if self._answered <= before:
                if self._apart:
                    await asyncio.sleep(self._next_at - clock())
                    self._next_at = clock() + self._apart
                self._begun += 1
                self._answer = await self._ask()
                self._answered = self._begun
            return self._answer
