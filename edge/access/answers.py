"""Counts HTTP answers by status."""

from collections import Counter
from typing import Final

_STATUSES: Final = frozenset((101, 200, 204, 304, 400, 401, 403, 404, 405, 408, 410, 414, 426, 429, 431, 500, 503))


class Answers:
    """Counts answers: each status that the edge gives by itself, and all others, which aiohttp may give, as one."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """How many answers there were, by the status's label."""

    def note(self, status: int) -> None:
        """Count an answer."""
        self.counts[str(status) if status in _STATUSES else "other"] += 1
