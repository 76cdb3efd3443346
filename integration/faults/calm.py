"""A clock that stands still while something is disturbed."""

from bisect import bisect
from collections.abc import Callable, Iterable
from itertools import accumulate

from integration.faults.observations import Span


def calm_clock(disturbed: Iterable[Span]) -> Callable[[float], float]:
    """Return a clock of undisturbed time, in seconds; differences of what it tells have a meaning, and nothing else."""
    spans = _union(disturbed)
    begins = [span.begin for span in spans]
    lost = [0.0, *accumulate(span.end - span.begin for span in spans)]

    def calm(at: float) -> float:
        before = bisect(begins, at)
        return at - lost[before] + (max(0.0, spans[before - 1].end - at) if before else 0.0)

    return calm


def _union(spans: Iterable[Span]) -> list[Span]:
    """Merge what overlaps or touches; return the rest in order."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.begin <= merged[-1].end:
            merged[-1] = Span(merged[-1].begin, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged
