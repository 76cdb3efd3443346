"""The page on performance and its plots are made of results, and of nothing else."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from integration.bench import contenders
from integration.bench.figures import Figure, Goal, ratio
from integration.bench.page import latest, page, pictures
from integration.bench.plots import Line, Mark, bars, lines, short

_SVG: Final = "{http://www.w3.org/2000/svg}"
_PAGE: Final = Path(__file__).parents[1] / "docs/performance.md"


def run(at: str, *figures: Figure) -> dict[str, Any]:
    return {
        "at": at,
        "machine": {
            "cores": 2, "processor": "a processor", "memory": 8 * 1024**3, "kernel": "6.1", "python": "3.11.7",
            "load": [0.25, 1.5],
        },
        "packages": {"aiohttp": "3.14.5"},
        "services": {"Kafka": "plain process"},
        "figures": [figure.as_json() for figure in figures],
    }  # fmt: skip


def fanout(posts: int, by: str, *values: float) -> Figure:
    return Figure("fanout", f"{posts} {by}", "deliveries/CPU-s", values, at={"clients": 9, "posts": posts, "by": by})


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{_SVG}text")]  # noqa: S314 - our own


def heights(svg: str, names: Sequence[str]) -> list[float]:
    elements = ET.fromstring(svg).iter(f"{_SVG}text")  # noqa: S314 - our own
    found = {element.text: float(element.attrib["y"]) for element in elements}
    return [found[name] for name in names]


def test_what_stands_between_the_marks_is_of_the_results_and_the_rest_stays() -> None:
    """Made anew as often as one likes."""
    text = (
        "Before.\n<!-- figures: fanout -->\nold\n<!-- end -->\nBetween.\n<!-- figures: slow -->\n<!-- end -->\nAfter.\n"
    )
    runs = [
        run("2026-01-02", *(fanout(n, by, n * f) for n in (1, 50) for by, f in (("edge", 4e4), ("bare os.write", 8e4))))
    ]
    made = page(text, runs)
    assert made == (
        "Before.\n"
        "<!-- figures: fanout -->\n\n"
        "| 9 clients; posts a window: | 1 | 50 |\n"
        "|---|---|---|\n"
        "| edge | 40,000 | 2,000,000 |\n"
        "| bare os.write | 80,000 | 4,000,000 |\n"
        "| edge over bare os.write | 0.5 | 0.5 |\n\n"
        "<!-- end -->\n"
        "Between.\n"
        "<!-- figures: slow -->\n\n*Not measured in these runs.*\n\n<!-- end -->\n"
        "After.\n"
    )
    assert page(made, runs) == made


def test_the_table_of_the_fan_out_has_the_ratio_that_the_goals_have() -> None:
    """The median of each turn's ratio: the ratio of both medians is another number (here 0.667)."""
    edge, bare = [2.0, 4.0, 6.0], [4.0, 6.0, 10.0]
    name = "1 post a window: edge over bare os.write"
    goal = Figure("fanout", name, "ratio", ratio(edge, bare), Goal("at least", 0.8))
    runs = [run("2026-01-02", fanout(1, "edge", *edge), fanout(1, "bare os.write", *bare), goal)]
    made = page("<!-- figures: goals -->\n<!-- end --><!-- figures: fanout -->\n<!-- end -->", runs)
    assert f"| fanout | {name} | 0.6 | ratio |" in made
    assert "| edge over bare os.write | 0.6 |" in made


def test_of_several_runs_the_last_that_has_a_part_counts() -> None:
    """And each run's conditions are said with the parts that are of it."""
    old, other, new = (
        Figure(part, name, "s", [1.0]) for part, name in (("slow", "old"), ("path", "x"), ("slow", "new"))
    )
    runs = [run("2026-01-02", old, other), run("2026-01-03", new)]
    assert [figure.name for figure in latest(runs)] == ["new", "x"]
    machine = "2 cores (a processor), 8 GiB, Linux 6.1, Python 3.11.7; aiohttp 3.14.5; Kafka as plain process; "
    load = "load average 0.2 before the run and 1.5 after it."
    assert page("<!-- figures: conditions -->\n<!-- end -->", runs).splitlines()[2:4] == [
        f"- **path**: 2026-01-02, {machine}{load}",
        f"- **slow**: 2026-01-03, {machine}{load}",
    ]


def test_a_goal_is_told_with_what_came_out() -> None:
    figure = Figure("slow", "grows by", "KiB", [96, 95, 97], Goal("at most", 64), note="busy")
    made = page(
        "<!-- figures: goals -->\n<!-- end --><!-- figures: slow -->\n<!-- end -->", [run("2026-01-02", figure)]
    )
    assert "| slow | grows by | 96 | KiB | at most 64: short by 50% |" in made
    assert "| grows by | 96 | KiB | 95 to 97 | at most 64: short by 50% | busy |" in made


def test_each_layer_is_told_by_what_it_adds() -> None:
    layers = [
        Figure("idle", "", "KiB each", [kib], at={"layer": n, "what": f"layer {n}"}) for n, kib in ((1, 2.0), (2, 9.5))
    ]
    made = page(
        "<!-- figures: layers -->\n<!-- end --><!-- figures: idle -->\n<!-- end -->", [run("2026-01-02", *layers)]
    )
    assert "| layer 1 | 2 | 2 |\n| layer 2 | 7.5 | 9.5 |\n" in made
    assert made.count("layer 2") == 1


def test_the_page_asks_for_nothing_that_there_is_not() -> None:
    """A mark of a wrong name is an error, and a page without marks would never be made."""
    text = _PAGE.read_text("utf-8")
    assert page(page(text, []), []) == page(text, [])
    with pytest.raises(KeyError):
        page("<!-- figures: nothing -->\n<!-- end -->", [])


def test_a_plot_is_drawn_of_each_part_that_was_measured() -> None:
    """Names and numbers are in it; a part that is not there has none."""
    latency = [
        Figure("latency", "", "s", [value], goal, at={"clients": clients, "percentile": share})
        for clients, share, value, goal in ((10, 50, 0.01, None), (10, 99, 0.05, None), (20, 50, 0.02, None),
                                            (20, 99, 0.15, Goal("at most", 0.2)))
    ]  # fmt: skip
    memory = [
        Figure("idle", "", "KiB each", [15.5], Goal("at most", 16), at={"server": "edge", "clients": 10_000}),
        Figure("idle", "", "KiB each", [13], at={"server": "plain aiohttp", "clients": 10_000}),
    ]
    drawn = pictures([*latency, *memory])
    assert list(drawn) == ["latency", "memory"]
    assert {"p50", "p99", "the goal for p99", "ms", "clients", "10", "20", "0", "200"} <= set(texts(drawn["latency"]))
    assert {"edge (10,000 connections): 15.5 KiB", "plain aiohttp (10,000 connections): 13 KiB"} <= set(
        texts(drawn["memory"])
    )
    assert list(pictures([fanout(n, by, 1e5 * n) for n in (1, 50) for by in contenders.ALL])) == ["fanout"]


def test_names_beside_lines_never_hide_each_other() -> None:
    """However near the lines end; they stay in the order of the ends, and on the page."""
    names = [f"line {number}" for number in range(9)]
    data = [Line(name, [(1, 1.0), (50, 1.0 + number / 100)]) for number, name in enumerate(names)]
    placed = heights(lines("Near", x="x", y="y", data=data, log=True), names)
    assert placed == sorted(placed, reverse=True)
    assert min(above - below for above, below in pairwise(placed)) >= 17
    assert max(placed) < 440


def test_a_line_runs_where_its_numbers_are() -> None:
    """On a log scale a power law is straight, and the axes' numbers stand at their places."""
    svg = lines("Powers", x="x", y="y", data=[Line("power", [(1, 100.0), (10, 1000.0), (100, 10_000.0)])], log=True)
    path = next(each for each in ET.fromstring(svg).iter(f"{_SVG}path") if each.get("class") == "s0")  # noqa: S314 - our own
    points = [tuple(map(float, point.split())) for point in path.attrib["d"][1:].split("L")]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert (x1 - x0, y1 - y0) == pytest.approx((x2 - x1, y2 - y1), abs=0.2)
    assert heights(svg, ["10 k"]) == pytest.approx([y2 + 4], abs=0.2)


def test_bars_are_as_long_as_their_values_say() -> None:
    svg = bars("Memory", unit="KiB", data=[("a < b", 10.0), ("c", 40.0)], ours=1, goal=Mark(20, "the goal"))
    widths = [float(each.attrib["width"]) for each in ET.fromstring(svg).iter(f"{_SVG}rect") if each.get("x")]  # noqa: S314 - our own
    assert widths[1] == pytest.approx(4 * widths[0], abs=0.2)
    assert texts(svg) == ["Memory", "a < b: 10 KiB", "c: 40 KiB", "the goal"]


def test_a_plot_has_colours_for_a_dark_page() -> None:
    assert "@media (prefers-color-scheme:dark)" in bars("Memory", unit="KiB", data=[("a", 1.0)], ours=1)


@pytest.mark.parametrize(
    ("value", "text"), [(0.05, "0.05"), (50, "50"), (1000, "1 k"), (50_000, "50 k"), (1.5e6, "1.5 M")]
)
def test_a_number_on_an_axis_is_short(value: float, text: str) -> None:
    assert short(value) == text
