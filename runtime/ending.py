"""The end of a process that something may hold up for ever: a thread, or a library that waits for its peer."""

import os
import threading


def end_within(seconds: float, code: int) -> threading.Timer:
    """End the process with an exit code at that time, whatever it does then; cancelled, the timer ends nothing."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()
    return timer
