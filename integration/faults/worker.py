"""A worker that can be told to kill itself where a promise changes hands: ``faust -A integration.faults.worker``.

The same app as ``streams.app``. Whoever puts a file with a point's name into the folder ARMED_POINTS kills the first
of all workers that reaches the point, once, and as ``kill -9`` does; the file then bears the process's number.
"""

import os
import signal
from pathlib import Path

from streams.settings import load
from streams.worker import create_app

_armed = Path(os.environ["ARMED_POINTS"])


def checkpoint(point: str) -> None:
    """Die here if that was asked for."""
    try:
        # Atomic: of several workers at the same point one dies.
        (_armed / point).rename(_armed / f"{point}.{os.getpid()}")
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


app = create_app(load(), checkpoint=checkpoint)
