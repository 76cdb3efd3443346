"""Durations, counted by how long they were."""

from bisect import bisect_left
from itertools import accumulate
from typing import Final

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Histogram:
    """Counts durations up to each of ``bounds`` (seconds, ascending), and those above the last."""

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def note(self, seconds: float) -> None:
        """Count a duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """Return each bound, as Prometheus spells it, and how many were not longer."""
        totals = map(float, accumulate(self._counts))
        return list(zip((*map(str, self._bounds), "+Inf"), totals, strict=True))
