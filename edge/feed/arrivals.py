"""Those who wait until the log has read up to an offset: once it has, they go on a few in a turn of the loop.

While the log is behind thousands may wait. What each does next, such as a handshake, would together be a turn of a
second; and nobody is woken by a record that is not the one that it waits for.
"""

import asyncio
from itertools import islice
from typing import Final

from streams.contract import Offset

AT_ONCE: Final = 4
"""As many as connections that are accepted together."""

_Crowd = dict["asyncio.Future[None]", None]


class Arrivals:
    """All who wait, by the offset that they wait for."""

    def __init__(self) -> None:
        self._waiting: dict[Offset, _Crowd] = {}
        # Those whose offset was reached, in the order in which they came.
        self._due: _Crowd = {}
        self._is_soon = False

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._due) + sum(map(len, self._waiting.values()))

    async def at(self, offset: Offset) -> None:
        """Return some time after every record before ``offset`` was read; the log may have begun anew since."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        crowd = self._waiting.setdefault(offset, {})
        crowd[future] = None
        try:
            await future
        finally:
            self._due.pop(future, None)
            crowd.pop(future, None)
            if not crowd and self._waiting.get(offset) is crowd:
                del self._waiting[offset]

    def note(self, offset: Offset) -> None:
        """Let those go on, soon, who wait for this offset or an earlier one."""
        for each in [each for each in self._waiting if each <= offset]:
            self._due |= self._waiting.pop(each)
        self._soon()

    def _soon(self) -> None:
        if self._due and not self._is_soon:
            self._is_soon = True
            asyncio.get_running_loop().call_soon(self._let_go)

    def _let_go(self) -> None:
        self._is_soon = False
        for future in list(islice(self._due, AT_ONCE)):
            del self._due[future]
            if not future.done():
                future.set_result(None)
        self._soon()
