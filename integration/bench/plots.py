"""Plots as SVG: lines over one variable, and bars. Data in, text out.

Names stand beside what they name, and each line has marks of a shape of its own, so that colour never tells alone.
There are colours for a light page and for a dark one; all is legible at 700 pixels.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from typing import Final, NamedTuple

_WIDTH: Final = 700
_HEIGHT: Final = 440
"""Of a plot with lines; bars take as much as they need."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 470, 66, 386
"""Where lines are drawn: beside it is room for the axes' numbers and titles, and for the lines' names."""
_BAR: Final = 48
_TEXT: Final = 17
"""The least distance between lines of text."""
_STEPS: Final = 6
_SIZES: Final = ((1e6, "M"), (1e3, "k"))
_STYLE: Final = "text{{font:13px system-ui,sans-serif;fill:{ink}}}.title{{font-size:16px;font-weight:600}}\
.page{{fill:{page}}}.grid{{stroke:{grid}}}.goal{{stroke:{ink};stroke-width:1.5;stroke-dasharray:6 4}}\
path{{fill:none;stroke-width:2.2;stroke-linejoin:round}}{colours}"
_LIGHT: Final = ("#0a5cc2", "#b54708", "#047857", "#8a35b0", "#b4235c", "#4b5563", "#7a828e", "#8a6100", "#00707a")
_DARK: Final = ("#6cb6ff", "#f0a35e", "#4fd1a5", "#d4a6ff", "#ff94bb", "#c3cad3", "#9aa3ae", "#e3c54a", "#5fd3dc")
_MARKS: Final = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", "M-4-4h8v8h-8z", "M0-5L5 4H-5z", "M0-5.5L5.5 0L0 5.5L-5.5 0z", "M0 5L5-4H-5z",
    "M-5-1.5h3.5v-3.5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5z", "M-5-2h10v4h-10z",
    "M-5-5h10L-5 5h10z", "M-5 5L0-5L5 5L0 1.5z",
)  # fmt: skip
"""A disc, a square, a triangle, a diamond, a triangle upside down, a cross, a dash, an hourglass, an arrow."""


class Line(NamedTuple):
    """A name, and points (x, y) in the order of x."""

    name: str
    points: Sequence[tuple[float, float]]


class Mark(NamedTuple):
    """A value that has a line of its own, and what it is."""

    value: float
    name: str


def lines(title: str, *, x: str, y: str, data: Sequence[Line], log: bool = False, goal: Mark | None = None) -> str:
    """Draw at most nine lines; ``x`` and ``y`` are the axes' titles, with units. Without ``log`` they begin at 0."""
    marks = [goal] if goal else []
    xs = sorted({at for line in data for at, _ in line.points})
    ys = [value for line in data for _, value in line.points] + [mark.value for mark in marks]
    numbers = _decades(min(ys), max(ys)) if log else _round_steps(max(ys))
    across = _scale(xs[0] if log else 0, xs[-1], _LEFT, _RIGHT, log=log)
    up = _scale(numbers[0], numbers[-1], _BOTTOM, _TOP, log=log)
    parts = [_text(16, 26, title, "title"), _text(16, _TOP - 14, y), _text(_RIGHT, _BOTTOM + 42, x, anchor="end")]
    parts += [_rule(_LEFT, up(number), _RIGHT, up(number)) for number in numbers]
    parts += [_text(_LEFT - 8, up(number) + 4, short(number), anchor="end") for number in numbers]
    parts += [_text(across(at), _BOTTOM + 20, short(at), anchor="middle") for at in xs]
    parts += [_rule(_LEFT, up(mark.value), _RIGHT, up(mark.value), "goal") for mark in marks]
    heights = _apart([up(line.points[-1][1]) for line in data] + [up(mark.value) for mark in marks])
    for index, line in enumerate(data):
        joined = "L".join(f"{across(at):.1f} {up(value):.1f}" for at, value in line.points)
        parts.append(f'<path class="s{index}" d="M{joined}"/>')
        parts += [_shape(index, across(at), up(value)) for at, value in line.points]
        parts += [_shape(index, _RIGHT + 16, heights[index]), _text(_RIGHT + 28, heights[index] + 4, line.name)]
    parts += [_text(_RIGHT + 8, heights[-1] + 4, mark.name) for mark in marks]
    return _svg(_HEIGHT, title, parts)


def bars(title: str, *, unit: str, data: Sequence[tuple[str, float]], ours: int, goal: Mark | None = None) -> str:
    """Draw a bar for each value, its name above it; the first ``ours`` of them stand out."""
    along = _scale(0, max(value for _, value in data), 16, _WIDTH - 16, log=False)
    marks, bottom = [goal] if goal else [], 44 + _BAR * len(data)
    parts = [_text(16, 26, title, "title")]
    for index, (name, value) in enumerate(data):
        top, colour = 44 + _BAR * index, "f0" if index < ours else "f6"
        parts.append(_text(16, top + 14, f"{name}: {short(value)} {unit}"))
        parts.append(f'<rect class="{colour}" x="16" y="{top + 20}" width="{along(value) - 16:.1f}" height="18"/>')
        parts += [_rule(along(mark.value), top + 17, along(mark.value), top + 41, "goal") for mark in marks]
    parts += [_text(along(mark.value), bottom + 16, mark.name, anchor="middle") for mark in marks]
    return _svg(bottom + 28, title, parts)


def short(value: float) -> str:
    """Write a number in few characters: 1.5 M, 200 k, 50."""
    return next((f"{value / size:.3g} {unit}" for size, unit in _SIZES if value >= size), f"{value:.3g}")


def _scale(low: float, high: float, begin: float, end: float, *, log: bool) -> Callable[[float], float]:
    if log:
        return lambda value: begin + (end - begin) * math.log(value / low) / (math.log(high / low) or 1)
    return lambda value: begin + (end - begin) * (value - low) / ((high - low) or 1)


def _decades(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten, from ``low`` or just below it to ``high`` or just above."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    numbers = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    begin, end = bisect_right(numbers, low) - 1, bisect_left(numbers, high)
    return numbers[begin : end + 1]


def _round_steps(high: float) -> list[float]:
    """Return some equal steps from 0 to ``high`` or just above."""
    power = 10.0 ** math.floor(math.log10(high / _STEPS))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * _STEPS >= high)
    return [step * number for number in range(math.ceil(high / step) + 1)]


def _apart(heights: Sequence[float]) -> list[float]:
    """Move the places of texts until none hides another, and keep their order."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = list(heights)
    for before, index in pairwise(order):
        placed[index] = max(placed[index], placed[before] + _TEXT)
    return [height - max(0.0, max(placed) + _TEXT - _HEIGHT) for height in placed]


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _rule(x: float, y: float, right: float, bottom: float, kind: str = "grid") -> str:
    return f'<line class="{kind}" x1="{x:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{bottom:.1f}"/>'


def _shape(index: int, x: float, y: float) -> str:
    return f'<path class="f{index}" d="{_MARKS[index]}" transform="translate({x:.1f} {y:.1f})"/>'


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    light = _style(_LIGHT, ink="#1f2328", page="#ffffff", grid="#dfe3e8")
    dark = _style(_DARK, ink="#e6edf3", page="#0d1117", grid="#2d343d")
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" width="{_WIDTH}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{light}@media (prefers-color-scheme:dark){{{dark}}}</style>",
        '<rect class="page" width="100%" height="100%"/>', *parts, "</svg>\n",
    ])  # fmt: skip


def _style(colours: Sequence[str], *, ink: str, page: str, grid: str) -> str:
    each = "".join(f".s{index}{{stroke:{c}}}.f{index}{{fill:{c}}}" for index, c in enumerate(colours))
    return _STYLE.format(ink=ink, page=page, grid=grid, colours=each)
