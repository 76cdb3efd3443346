"""When keys that an issuer publishes are asked for, and asked for again.

Law: there are ``APART_SECONDS`` between two questions, whoever wants them and whatever became of the last. Times are in
seconds of any clock that never runs backwards, and are told.
"""

import math
from typing import Final

APART_SECONDS: Final = 30.0
"""A stranger's token can name any key: so often one may have the issuer asked."""
AGE_SECONDS: Final = 600.0
"""After this long keys are asked for without anybody wanting one: an issuer may have taken one back."""


class Freshness:
    """How old what is known is."""

    def __init__(self) -> None:
        self._asked_at = -math.inf
        self._is_fresh = False

    def wait(self, now: float) -> float:
        """Return in how many seconds there may be another question; 0 for at once."""
        return max(0.0, self._asked_at + APART_SECONDS - now)

    def ask(self, now: float) -> None:
        """Note a question."""
        self._asked_at = now
        self._is_fresh = False

    def answer(self) -> None:
        """Note that it was answered."""
        self._is_fresh = True

    def rest(self, now: float) -> float:
        """Return in how many seconds the next question is due although nobody wants a key."""
        return max(0.0, self._asked_at + (AGE_SECONDS if self._is_fresh else APART_SECONDS) - now)
