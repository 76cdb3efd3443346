"""The event loop's turns, kept short.

asyncio has everybody who is ready served before anything else: timers, and what was put off to the next turn, as the
fan-out is. Ten thousand clients that are cut off at once, or answer a ping, are a single turn, of a second. So the
loop's selector here names a few of them at a time. The kernel keeps the others in the order in which they became
ready, and puts those that were named behind them (epoll(7)), so that nobody is passed over.

The selector is also who knows how long a turn was: from the end of one look at who is ready until the next look. A
timer that sees how late it comes would tell less, and wake an idle edge a hundred times a second.
"""

import asyncio
import math
import os
import select
import selectors
import time
from collections.abc import Callable
from typing import Final

Note = Callable[[float, float], None]
"""Told of each turn how long it was, and how much CPU time the thread used for it, both in seconds."""

AT_ONCE: Final = 16
"""What costs most is a handshake, 0.4 ms: that makes 7 ms a turn. With 8 or 32 at a time a join costs no less."""


class Few(selectors.EpollSelector):
    """Selects at most ``most`` files at a time, and has each turn of the loop noted."""

    def __init__(self, note: Note, most: int = AT_ONCE) -> None:
        super().__init__()
        self._note = note
        self._most = most
        self._begun, self._used = time.monotonic(), time.thread_time()
        # The parent asks for as many as there are. This is the same queue.
        self._queue = select.epoll.fromfd(os.dup(self.fileno()))

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for ``timeout`` seconds at most, for ever if it is None; a part of a millisecond counts as a whole."""
        used = time.thread_time() - self._used
        self._note(time.monotonic() - self._begun, used)
        wait = -1 if timeout is None else max(0, math.ceil(timeout * 1000) / 1000)
        keys = self.get_map()
        ready = []
        for fd, event in self._queue.poll(wait, self._most):
            key = keys.get(fd)
            if key is not None:
                # What is neither is an error or an end: told to whoever waits for anything.
                reading = selectors.EVENT_READ if event & ~select.EPOLLOUT else 0
                writing = selectors.EVENT_WRITE if event & ~select.EPOLLIN else 0
                ready.append((key, key.events & (reading | writing)))
        self._begun, self._used = time.monotonic(), time.thread_time()
        return ready

    def close(self) -> None:
        """Close both ends of the queue."""
        self._queue.close()
        super().close()


def loop(note: Note) -> asyncio.SelectorEventLoop:
    """Make an event loop of short turns, each of which is noted."""
    return asyncio.SelectorEventLoop(Few(note))
