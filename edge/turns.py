"""An event loop whose turns are short: at most a few ready files a turn, the feed's first, each turn's length reported.

asyncio serves every ready file before it looks at its timers, and at what was put off to the next turn, as the fan-out
is. Ten thousand clients that are cut off at once, or answer a ping, would be a single turn of a second. So this loop's
selector returns a few ready files at a time. The kernel keeps the others in the order in which they became ready, and
puts those that were returned behind them (epoll(7)): no file is passed over.

Connections that the process makes itself, which are those to Kafka, are returned before all others: when thousands of
clients send something at once, the feed does not wait until each of them has been read.

The selector also knows how long a turn was: from the end of one ``select`` to the beginning of the next. A timer that
measures its own delay would tell less, and wake an idle edge a hundred times a second.
"""

import asyncio
import math
import os
import select
import selectors
import time
from collections.abc import Callable
from typing import Any, Final

from edge.garbage_collection import Collector

NoteTurn = Callable[[float, float], None]
"""Is called after each turn with its length and with the CPU time that the thread used for it, both in seconds."""
Tidy = Callable[[float], None]
"""Is called at the end of each turn with the CPU time that it has taken so far, and is a part of it."""

MAX_READY: Final = 8
"""The most expensive one is a join, 0.6 ms and up to 1.4 ms where others use the caches: 8 make 11 ms a turn."""


class BoundedSelector(selectors.EpollSelector):
    """Returns preferred files and at most ``max_ready`` others a call; has turns of the loop tidied up, and noted."""

    def __init__(self, note: NoteTurn, tidy: Tidy, max_ready: int = MAX_READY) -> None:
        super().__init__()
        self._note = note
        self._tidy = tidy
        self._max_ready = max_ready
        self._begun, self._used = time.monotonic(), time.thread_time()
        # The parent asks for all ready files. This is a second descriptor of the same queue, to ask for fewer.
        self._queue = select.epoll.fromfd(os.dup(self.fileno()))
        # A queue of the preferred files: which of them can be read. The kernel removes closed ones by itself.
        self._preferred = select.epoll()

    def prefer(self, fd: int) -> None:
        """Return this file before others when it can be read, until it is closed."""
        self._preferred.register(fd, select.EPOLLIN)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for ready files, at most ``timeout`` seconds rounded up to milliseconds; for ever if it is None."""
        self._tidy(time.thread_time() - self._used)
        self._note(time.monotonic() - self._begun, time.thread_time() - self._used)
        wait = -1 if timeout is None else max(0, math.ceil(timeout * 1000) / 1000)
        keys = self.get_map()
        # A preferred file may be registered for writing alone, or not at all, while nobody wants to read it.
        events = {
            fd: event for fd, event in self._preferred.poll(0) if fd in keys and keys[fd].events & selectors.EVENT_READ
        }
        events |= self._queue.poll(0 if events else wait, self._max_ready)
        ready = []
        for fd, event in events.items():
            key = keys.get(fd)
            if key is not None:
                # An event that is neither is an error or an end: it is reported for whatever the file is registered.
                reading = selectors.EVENT_READ if event & ~select.EPOLLOUT else 0
                writing = selectors.EVENT_WRITE if event & ~select.EPOLLIN else 0
                ready.append((key, key.events & (reading | writing)))
        self._begun, self._used = time.monotonic(), time.thread_time()
        return ready

    def close(self) -> None:
        """Close all descriptors."""
        self._preferred.close()
        self._queue.close()
        super().close()


class _ShortTurns(asyncio.SelectorEventLoop):
    def __init__(self, note: NoteTurn) -> None:
        self._bounded = BoundedSelector(note, Collector().work)
        super().__init__(self._bounded)

    async def create_connection(self, *arguments: Any, **options: Any) -> Any:
        """Connect as asyncio does, and prefer the connection."""
        transport, protocol = await super().create_connection(*arguments, **options)
        self._bounded.prefer(transport.get_extra_info("socket").fileno())
        return transport, protocol


def new_event_loop(note: NoteTurn) -> asyncio.SelectorEventLoop:
    """Make an event loop of short turns; ``note`` is called after each."""
    return _ShortTurns(note)
