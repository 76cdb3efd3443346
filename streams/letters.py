"""What the log says about dead letters: one line per reason and minute, with their number."""

from collections.abc import Callable
from typing import Final

LINE_SECONDS: Final = 60.0
"""At most one line per reason in this time."""


class LetterLog:
    """Counts dead letters by their reasons and warns of them.

    ``clock`` counts seconds; ``warn`` writes a line for a reason and a number of letters. :meth:`flush` is to be
    called about once a second.
    """

    def __init__(self, clock: Callable[[], float], warn: Callable[[str, int], None]) -> None:
        self._clock = clock
        self._warn = warn
        self._counted: dict[str, int] = {}
        self._warned: dict[str, float] = {}

    def count(self, reason: str, number: int = 1) -> None:
        """Note dead letters that were confirmed."""
        self._counted[reason] = self._counted.get(reason, 0) + number

    def flush(self, *, final: bool = False) -> None:
        """Warn of what was counted, reasons of the last minute's lines excepted; ``final``: of everything."""
        now = self._clock()
        for reason, number in list(self._counted.items()):
            if final or now - self._warned.get(reason, float("-inf")) >= LINE_SECONDS:
                self._warn(reason, number)
                self._warned[reason] = now
                del self._counted[reason]
