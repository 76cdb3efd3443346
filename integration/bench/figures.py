"""What was measured: figures with their goals, as a table for people and as JSON.

A figure has one value a repetition and is judged by their median. This module knows neither processes nor clocks.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Goal:
    """What a figure's median should be at least, or at most."""

    kind: Literal["at least", "at most"]
    value: float

    def missed_by(self, value: float) -> float:
        """Return the distance to the goal as a share of it; 0 when it is met."""
        gap = self.value - value if self.kind == "at least" else value - self.value
        return max(0.0, gap / self.value)


@dataclass(frozen=True)
class Figure:
    """One thing measured; ``values`` are in ``unit``, one a repetition, and ``note`` says what else is to be known.

    ``at`` says of which point of a table or a plot it is: for so many clients, by this server.
    """

    part: str
    name: str
    unit: str
    values: Sequence[float]
    goal: Goal | None = None
    note: str = ""
    at: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The value that counts."""
        return statistics.median(self.values)

    @property
    def range(self) -> str:
        """Say between which values it lay, where there are several."""
        low, high = shown(min(self.values)), shown(max(self.values))
        return f"{low} to {high}" if len(self.values) > 1 else ""

    @property
    def verdict(self) -> str:
        """Say how the figure stands to its goal."""
        if self.goal is None:
            return ""
        missed = self.goal.missed_by(self.median)
        return f"{self.goal.kind} {shown(self.goal.value)}: {f'short by {missed * 100:.2g}%' if missed else 'met'}"

    def as_json(self) -> dict[str, Any]:
        """Return what JSON can hold of it."""
        goal = None if self.goal is None else {"kind": self.goal.kind, "value": self.goal.value}
        return {
            "part": self.part,
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "values": list(self.values),
            "goal": goal,
            "is_met": None if self.goal is None else not self.goal.missed_by(self.median),
            "note": self.note,
            "at": dict(self.at),
        }


def ratio(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Divide repetition by repetition: what disturbs the machine for a while disturbs both sides of a ratio."""
    return [one / other for one, other in zip(over, under, strict=True)]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of all values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def table(figures: Iterable[Figure]) -> str:
    """Lay the figures out in columns: the median, the range of all repetitions, the goal."""
    rows = [("part", "figure", "median", "unit", "range", "goal", "")]
    rows += [
        (each.part, each.name, shown(each.median), each.unit, each.range, each.verdict, each.note) for each in figures
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def shown(value: float) -> str:
    """Write a number with the three digits that a measurement of this kind is good for."""
    if value and abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:,.0f}"
