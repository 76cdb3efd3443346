"""How well the feed is followed: what is in the way, how far behind the log is, and whether new clients may come.

Laws: a trouble, or its end, is said once. A feed that was followed and is lost makes the edge unready only after
``patience`` seconds: clients lose nothing by waiting, and all edges lose Kafka at the same moment. Times are told, in
seconds of any clock that never runs backwards. This module knows neither Kafka nor the log.
"""

from typing import Final

# A window of many records is more than one read: so long it may take until that is said.
_BEHIND_SECONDS: Final = 2.0


class Health:
    """The trouble that the feed has, and its lag."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._lost_at: float | None = None
        self._behind_since: float | None = None
        self._ended_at: float | None = None
        self.trouble: str | None = "Kafka was not reached yet."
        """Why the feed is not followed to its end, as a sentence; None when it is."""
        self.lag = 0
        """How many records of the feed were not read yet when it was last read."""

    def begin(self, now: float) -> None:
        """Count seconds from here on."""
        self._ended_at = now

    def unready(self, now: float) -> str | None:
        """Return why new clients had better go elsewhere."""
        if self._lost_at is None or now - self._lost_at >= self._patience:
            return self.trouble
        return None

    def lag_seconds(self, now: float) -> float:
        """Return for how long the feed has not been read to its end; 0 when it was, at the last read."""
        if self._ended_at is None or (self.trouble is None and not self.lag):
            return 0.0
        return now - self._ended_at

    def read(self, lag: int, surplus: str | None, now: float) -> bool:
        """Note how many records are left to read; ``surplus`` is what is in the way all the same.

        Return whether that is another trouble, or none any more.
        """
        self.lag = lag
        if not lag:
            self._ended_at = now
            self._behind_since = None
            return self.say(surplus, now)
        self._behind_since = self._behind_since or now
        if self.trouble is None and now - self._behind_since >= _BEHIND_SECONDS:
            return self.say("The feed has records that were not read yet.", now)
        return False

    def say(self, trouble: str | None, now: float) -> bool:
        """Note a trouble, or that there is none; return whether that is new."""
        if trouble == self.trouble:
            return False
        if self.trouble is None:
            self._lost_at = now
        self.trouble = trouble
        return True
