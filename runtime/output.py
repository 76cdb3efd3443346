"""Standard output that stops nobody: a bounded buffer, and one thread that writes.

A pipe whose reader has stopped, as that of a container's log driver may, blocks whoever writes to it. An event loop
would stand still for all its clients. So lines that find no room are dropped, and counted.
"""

import os
import select
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

_LIMIT_BYTES: Final = 1 << 20
"""Some 4,000 lines: more than a second of the worst flood of connections."""
_WRITE_BYTES: Final = 1 << 16
"""How much is written at a time; as much as a pipe holds."""


class Output:
    """Text that is written to a file descriptor by a thread of its own, in order and by whole lines.

    ``write`` may be called by one thread only, and never blocks.
    """

    def __init__(self, descriptor: int, *, limit: int = _LIMIT_BYTES) -> None:
        self._descriptor = descriptor
        self._limit = limit
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        # Each is counted by one thread, so that no lock is needed.
        self._taken = self._written = 0
        self.dropped = 0
        """How many lines found no room."""
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def write(self, line: str) -> int:
        """Take a line, or drop it when there is no room; return its length, as a file does."""
        data = line.encode("utf-8", "backslashreplace")
        if self._taken - self._written + len(data) > self._limit:
            self.dropped += 1
        else:
            self._taken += len(data)
            self._lines.put(data)
        return len(line)

    def flush(self) -> None:
        """Do nothing: what was taken is on its way."""

    def close(self, seconds: float) -> None:
        """Wait until all that was taken is written, so many seconds at most."""
        self._lines.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        while (data := self._lines.get()) is not None:
            is_last = False
            with suppress(Empty):
                while len(data) < _WRITE_BYTES and not is_last:
                    more = self._lines.get_nowait()
                    is_last = more is None
                    data += more or b""
            # That nobody can read it any more is no reason to end.
            with suppress(OSError):
                self._write_out(memoryview(data))
            self._written += len(data)
            if is_last:
                return

    def _write_out(self, rest: memoryview) -> None:
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                # Whoever has the other end, or a copy of ours, may have made it one that does not block.
                select.select((), (self._descriptor,), ())
