"""Writes the worker's periodic log lines: what it waits for, and which dead letters there were."""

from typing import Final

from mode import Service

from streams.letters import LetterLog
from streams.progress import Progress
from streams.telemetry import WaitingLog

_LOOK_SECONDS: Final = 1.0


class Reporter(Service):
    """Looks every second; it is the first service to start and the last to stop."""

    def __init__(self, progress: Progress, letters: LetterLog) -> None:
        super().__init__()
        self._progress = progress
        self._letters = letters
        self._waiting = WaitingLog()

    @Service.task
    async def _look(self) -> None:
        while not self.should_stop:
            self._waiting.update(self._progress.waiting)
            self._letters.flush()
            await self.sleep(_LOOK_SECONDS)

    async def on_stop(self) -> None:
        """Log the dead letters that no line has counted."""
        self._letters.flush(final=True)
