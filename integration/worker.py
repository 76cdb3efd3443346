"""A worker that kills itself where a promise changes hands: ``faust -A integration.worker worker``.

The same app as ``streams.app``, with somebody to be told of the named points. At the time CRASH_COUNT (1 unless
set) that CRASH_POINT is reached, the file CRASH_MARKER is written, which shows that the point was hit, and the
process ends as ``kill -9`` ends it: nothing is flushed, nothing is said to anybody.
"""

import os
import signal
from itertools import count
from pathlib import Path

from streams.settings import load
from streams.worker import create_app

_point = os.environ["CRASH_POINT"]
_last = int(os.environ.get("CRASH_COUNT", "1"))
_marker = Path(os.environ["CRASH_MARKER"])
_times = count(1)


def _crash(point: str) -> None:
    if point == _point and next(_times) == _last:
        _marker.write_text(point, "ascii")
        os.kill(os.getpid(), signal.SIGKILL)


app = create_app(load(), checkpoint=_crash)
