"""The feed's end as it was a moment ago, asked once for all who want to know."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from streams.contract import Offset

RECENT_SECONDS: Final = 1.0


class RecentEnd:
    """Asks ``ask`` for the feed's end, unless it was asked less than ``RECENT_SECONDS`` ago."""

    def __init__(self, ask: Callable[[], Awaitable[Offset | None]]) -> None:
        self._ask = ask
        self._asking = asyncio.Lock()
        self._asked_at = 0.0
        self._end: Offset | None = None

    async def offset(self) -> Offset | None:
        """Return the offset of the feed's next record, at most a second old; None when nobody can say."""
        clock = asyncio.get_running_loop().time
        async with self._asking:
            if self._end is None or clock() - self._asked_at > RECENT_SECONDS:
                # The answer is as old as the question.
                self._asked_at = clock()
                self._end = await self._ask()
            return self._end
