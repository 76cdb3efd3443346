"""Turns the signals that end a process into an event of its loop."""

import asyncio
import signal


def told_to_stop(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """Return what is set by the first SIGTERM or SIGINT; a second one ends the process at once."""
    stopped = asyncio.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop() -> None:
        stopped.set()
        for each in numbers:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)

    for each in numbers:
        loop.add_signal_handler(each, stop)
    return stopped
