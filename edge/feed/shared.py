"""A question that many ask at once, put once for all of them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Asks ``ask`` one time after the other, at least ``apart`` seconds between two beginnings.

    Those who come while a question is under way share the next one: the answer to that may be older than they are. It
    ends with who has put it, unless it ``is_kept``: then it goes on without them, and others wait for it.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], *, apart: float = 0, is_kept: bool = False) -> None:
        self._ask = ask
        self._apart = apart
        self._is_kept = is_kept
        self._kept: asyncio.Task[None] | None = None
        self._asking = asyncio.Lock()
        self._begun = self._answered = 0
        self._next_at = 0.0
        self._answer: T | None = None

    async def answer(self) -> T | None:
        """Return an answer to a question that is put after this call."""
        before = self._begun
        async with self._asking:
            while self._answered <= before:
                if not self._is_kept:
                    await self._put()
                    continue
                if self._kept is None or self._kept.done():
                    self._kept = asyncio.create_task(self._put())
                await asyncio.shield(self._kept)
            return self._answer

    async def _put(self) -> None:
        if self._apart:
            clock = asyncio.get_running_loop().time
            await asyncio.sleep(self._next_at - clock())
            self._next_at = clock() + self._apart
        self._begun += 1
        self._answer = await self._ask()
        self._answered = self._begun
