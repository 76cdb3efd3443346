"""Whether a feed that brings nothing is quiet, or is read from a broker that leads it no more.

A leader that is cut off from the others brings nothing more, and does not say so. aiokafka asks anew who leads
every half minute, and one broker that it picks by chance.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from edge.feed.topic import Read, Unreachable
from streams.contract import Offset

SECONDS: Final = 6.0
"""After so long without a record the others are asked: more than a window, so seldom while posts come."""
# How long what is known elsewhere may take to be read: a read waits for half a second.
_READ_SECONDS: Final = 1.5


class Quiet:
    """Is told of each read; ``confirmed_end`` asks more than one broker. Reading goes on meanwhile."""

    def __init__(self, confirmed_end: Callable[[], Coroutine[Any, Any, Offset | None]]) -> None:
        self._confirmed_end = confirmed_end
        self._clock = asyncio.get_running_loop().time
        self._heard_at = self._clock()
        self._asking: asyncio.Task[Offset | None] | None = None
        self._due = Offset(0)
        self._due_at = 0.0

    def heard(self, read: Read) -> None:
        """Note a read; raises ``Unreachable`` when what is known elsewhere does not come."""
        now = self._clock()
        if read.records:
            self._heard_at = now
        elif read.next_offset < self._due:
            if now >= self._due_at:
                raise Unreachable("the broker that is read from does not lead the feed any more")
        elif self._asking is None:
            if now >= self._heard_at + SECONDS:
                self._asking = asyncio.create_task(self._confirmed_end())
        elif self._asking.done():
            self._due, self._due_at = self._asking.result() or self._due, now + _READ_SECONDS
            self._asking, self._heard_at = None, now

    def close(self) -> None:
        """Ask nobody any more."""
        if self._asking is not None:
            self._asking.cancel()
