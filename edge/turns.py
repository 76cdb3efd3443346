"""An event loop whose turns are short: at most a few ready files a turn, each turn's length reported.

asyncio serves every ready file before it looks at its timers, and at what was put off to the next turn, as the fan-out
is. Ten thousand clients that are cut off at once, or answer a ping, would be a single turn of a second. So this loop's
selector returns a few ready files at a time. The kernel keeps the others in the order in which they became ready, and
puts those that were returned behind them (epoll(7)): no file is passed over.

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
from typing import Final

NoteTurn = Callable[[float, float], None]
"""Is called after each turn with its length and with the CPU time that the thread used for it, both in seconds."""

MAX_READY: Final = 16
"""The dearest file is a handshake, 0.4 ms: that makes 7 ms a turn (docs/decisions/0012-short-turns.md)."""


class BoundedSelector(selectors.EpollSelector):
    """Returns at most ``max_ready`` files a call, and reports each turn of the loop to ``note``."""

    def __init__(self, note: NoteTurn, max_ready: int = MAX_READY) -> None:
        super().__init__()
        self._note = note
        self._max_ready = max_ready
        self._begun, self._used = time.monotonic(), time.thread_time()
        # The parent asks for all ready files. This is a second descriptor of the same queue, to ask for fewer.
        self._queue = select.epoll.fromfd(os.dup(self.fileno()))

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for ready files, at most ``timeout`` seconds rounded up to milliseconds; for ever if it is None."""
        used = time.thread_time() - self._used
        self._note(time.monotonic() - self._begun, used)
        wait = -1 if timeout is None else max(0, math.ceil(timeout * 1000) / 1000)
        keys = self.get_map()
        ready = []
        for fd, event in self._queue.poll(wait, self._max_ready):
            key = keys.get(fd)
            if key is not None:
                # An event that is neither is an error or an end: it is reported for whatever the file is registered.
                reading = selectors.EVENT_READ if event & ~select.EPOLLOUT else 0
                writing = selectors.EVENT_WRITE if event & ~select.EPOLLIN else 0
                ready.append((key, key.events & (reading | writing)))
        self._begun, self._used = time.monotonic(), time.thread_time()
        return ready

    def close(self) -> None:
        """Close both descriptors of the queue."""
        self._queue.close()
        super().close()


def new_event_loop(note: NoteTurn) -> asyncio.SelectorEventLoop:
    """Make an event loop of short turns; ``note`` is called after each."""
    return asyncio.SelectorEventLoop(BoundedSelector(note))
