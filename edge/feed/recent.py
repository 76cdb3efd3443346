"""The feed's end as it was a moment ago, asked once for all who want to know.

Laws:

* An answer is to a question that was put ``RECENT_SECONDS`` before the call at the earliest.
* That nobody can say is an answer for all who called before it came, and is not remembered for those who call then.
* Nobody waits for longer than a question may take.
* Those who have waited for an answer get it one after the other, one in a turn of the loop.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from streams.contract import Offset

RECENT_SECONDS: Final = 1.0


class RecentEnd:
    """Asks ``ask`` for the feed's end, unless it did a moment ago, and waits for its answer for ``seconds``."""

    def __init__(self, ask: Callable[[], Awaitable[Offset | None]], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._question: asyncio.Task[None] | None = None
        self._asked_at = -math.inf
        self._end: Offset | None = None
        self._answers = 0

    async def offset(self) -> Offset | None:
        """Return the offset of the feed's next record, at most a second old; None when nobody can say in time."""
        called_at, answers = asyncio.get_running_loop().time(), self._answers
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds), self._turn:
                while not self._is_answered(called_at, answers):
                    if self._question is None or self._question.done():
                        self._question = asyncio.create_task(self._put())
                    # Who leaves takes the answer from nobody.
                    await asyncio.shield(self._question)
                return self._end
        return None

    def _is_answered(self, called_at: float, answers: int) -> bool:
        if self._end is None:
            return self._answers > answers
        return called_at - self._asked_at <= RECENT_SECONDS

    async def _put(self) -> None:
        # The answer is as old as the question.
        asked_at, end = asyncio.get_running_loop().time(), None
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                end = await self._ask()
        self._asked_at, self._end = asked_at, end
        self._answers += 1
