"""A worker that can be told to kill itself where a promise changes hands: ``faust -A integration.faults.worker``.

The same app as ``streams.app``. Whoever puts a file with a point's name into the folder ARMED_POINTS kills the first
of all workers that reaches the point, once, and as ``kill -9`` does; the file then bears the process's number. While
there is a file ``clock`` in it, the clock of all workers is off by the seconds that it holds.
"""

import os
import signal
import time
from pathlib import Path
from typing import Any, Final

_armed: Final = Path(os.environ["ARMED_POINTS"])
_LOOK_SECONDS: Final = 0.1
_true_time: Final = time.time
_offset = 0.0
_looked = 0.0


def _shifted_time() -> float:
    global _offset, _looked  # noqa: PLW0603 - there is one clock in a process
    if (now := time.monotonic()) > _looked + _LOOK_SECONDS:
        _looked = now
        try:
            _offset = float((_armed / "clock").read_text("ascii") or 0)
        except FileNotFoundError:
            _offset = 0.0
    return _true_time() + _offset


# Before the product is imported, and with it whoever takes the function out of its module.
time.time = _shifted_time

from aiokafka.producer.message_accumulator import BatchBuilder  # noqa: E402

from streams.settings import load  # noqa: E402
from streams.worker import create_app  # noqa: E402

_append: Final = BatchBuilder.append


def _append_at_shifted_time(self: BatchBuilder, *, timestamp: int | None, **record: Any) -> Any:
    # What aiokafka has compiled asks the kernel for the time.
    return _append(self, timestamp=round(time.time() * 1000) if timestamp is None else timestamp, **record)


BatchBuilder.append = _append_at_shifted_time


def checkpoint(point: str) -> None:
    """Die here if that was asked for."""
    try:
        # Atomic: of several workers at the same point one dies.
        (_armed / point).rename(_armed / f"{point}.{os.getpid()}")
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


app = create_app(load(), checkpoint=checkpoint)
