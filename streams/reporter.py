"""Writes what the worker waits for to the log, as soon as that changes."""

from collections.abc import Iterable
from typing import Final

from mode import Service

from streams.lasting import lasting
from streams.progress import Progress
from streams.telemetry import WaitingLog, log

_LOOK_SECONDS: Final = 1.0


class Reporter(Service):
    """Looks every second, from the first service's start to the last one's end."""

    def __init__(self, progress: Progress, warnings: Iterable[str]) -> None:
        """``warnings``: sentences about the settings."""
        super().__init__()
        self._progress = progress
        self._warnings = warnings
        self._waiting = WaitingLog()

    async def on_start(self) -> None:
        """Log what is odd about the settings."""
        for sentence in self._warnings:
            log.warning("settings.unread", why=sentence)

    @lasting
    async def _look(self) -> None:
        while not self.should_stop:
            self._waiting.update(self._progress.waiting)
            await self.sleep(_LOOK_SECONDS)
