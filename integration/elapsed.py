"""Progress lines of what takes minutes, each with the seconds since the program began."""

import time
from typing import Final

_begun: Final = time.monotonic()


def say(line: str) -> None:
    """Print a line at once."""
    print(f"[{time.monotonic() - _begun:6.1f} s] {line}", flush=True)
