"""Tells the person who waits how far something is: nothing while it is quick, then a line every few seconds.

Standard library only: the Makefile uses this before anything is installed.
"""

import threading
import time
from collections.abc import Callable
from typing import Final, Self

Say = Callable[[str], None]

EVERY_SECONDS: Final = 3.0
"""How long nothing may be said at first: after that people wonder whether a program hangs."""


class Waiting:
    """A thread that says :attr:`text` and the seconds so far, again and again until the ``with`` block ends.

    First after ``every`` seconds; what takes minutes is said less often: after another quarter of what it took.
    """

    def __init__(self, text: str, say: Say, *, every: float = EVERY_SECONDS) -> None:
        self.text = text
        """What is waited for, and how far it is. It may be replaced at any time."""
        self._say = say
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="waiting", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        begun, passed = time.monotonic(), 0.0
        while not self._ended.wait(max(self._every, passed / 4)):
            passed = time.monotonic() - begun
            self._say(f"{self.text}, {passed:.0f} s")
