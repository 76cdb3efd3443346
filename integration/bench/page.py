"""``python -m integration.bench.page RESULT.json...``: make docs/performance.md's figures and plots of results.

What stands between its marks is replaced; the words around are written by people. Of several results the last that
has a part counts for it. Where they have all that docs/scale.md is computed from, that page is made, too.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from integration.bench import (
    attack,
    comeback,
    compression,
    cores,
    estimate_page,
    fanout,
    filters,
    idle,
    latency,
    outage,
    path,
    positions,
    rebalance,
    replay,
    resting,
    scale,
    slow,
    storm,
    upheaval,
    window,
)
from integration.bench.contenders import ALL, EDGE
from integration.bench.figures import Figure, ratio, shown
from integration.bench.marks import fill, markdown
from integration.bench.plots import Line, Mark, bars, lines

_DOCS: Final = Path(__file__).parents[2] / "docs"
_PAGE: Final = _DOCS / "performance.md"
_PLOTS: Final = _DOCS / "performance"
_GIB: Final = 1024**3
_MS: Final = 1000

_PLAIN: Final = [
    each.PART
    for each in (
        attack, comeback, compression, cores, filters, idle, latency, outage, path, positions, rebalance, replay,
        resting, scale, slow, storm, upheaval, window,
    )
]  # fmt: skip
"""Whose tables list the figures as they are."""

Run = Mapping[str, Any]
"""A result file, decoded."""


def latest(runs: Iterable[Run]) -> list[Figure]:
    """Return the figures of each part, of the last run that has it."""
    parts: dict[str, list[Figure]] = {}
    for run in runs:
        figures = _figures(run)
        parts |= {part: [each for each in figures if each.part == part] for part in _parts(run)}
    return [figure for figures in parts.values() for figure in figures]


def _figures(run: Run) -> list[Figure]:
    return msgspec.convert(run["figures"], list[Figure])


def _parts(run: Run) -> list[str]:
    return list(dict.fromkeys(figure["part"] for figure in run["figures"]))


def pictures(figures: Sequence[Figure]) -> dict[str, str]:
    """Draw what there is to be drawn: an SVG for each name."""
    drawn = {"fanout": _fanout_lines(figures), "latency": _latency_lines(figures), "memory": _memory_bars(figures)}
    return {name: svg for name, svg in drawn.items() if svg is not None}


def page(text: str, runs: Sequence[Run]) -> str:
    """Put the figures of these runs between the marks of a page."""
    figures = latest(runs)
    blocks = {
        "conditions": _conditions(runs),
        "goals": _goals(figures),
        "fanout": _fanout(figures),
        "layers": _layers(figures),
        "files": _files(figures),
        **{part: _plain(figures, part) for part in _PLAIN},
    }
    return fill(text, blocks)


def _plain(figures: Sequence[Figure], part: str) -> str:
    """List all figures of a part, but for those that have a table of their own."""
    own = [figure for figure in figures if figure.part == part and not {"layer", "file"} & figure.at.keys()]
    return markdown(
        ("figure", "median", "unit", "range", "goal", ""),
        [(each.name, shown(each.median), each.unit, each.range, each.verdict, each.note) for each in own],
    )


def _goals(figures: Sequence[Figure]) -> str:
    return markdown(
        ("part", "figure", "median", "unit", "goal"),
        [(each.part, each.name, shown(each.median), each.unit, each.verdict) for each in figures if each.goal],
    )


def _conditions(runs: Sequence[Run]) -> str:
    """Say of which run each part is, and under what conditions that run was."""
    of = {part: run for run in runs for part in _parts(run)}
    told = [(run, [part for part, its in of.items() if its is run]) for run in runs]
    return "\n".join(_condition(run, parts) for run, parts in told if parts)


def _condition(run: Run, parts: Sequence[str]) -> str:
    machine = run["machine"]
    before, after = machine["load"]
    packages = ", ".join(f"{name} {number}" for name, number in run["packages"].items())
    services = ", ".join(f"{name} as {how}" for name, how in run["services"].items())
    return (
        f"- **{', '.join(parts)}**: {run['at']}, {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memory'] / _GIB:.0f} GiB, Linux {machine['kernel']}, Python {machine['python']}; {packages}; "
        f"{services}; load average {before:.1f} before the run and {after:.1f} after it."
    )


def _fanout(figures: Sequence[Figure]) -> str:
    measured = [each for each in figures if each.part == fanout.PART and each.at]
    tables = []
    for clients in dict.fromkeys(each.at["clients"] for each in measured):
        at = {(each.at["by"], each.at["posts"]): each for each in measured if each.at["clients"] == clients}
        posts = list(dict.fromkeys(number for _, number in at))
        names = [name for name in ALL if (name, posts[0]) in at]
        head = (f"{clients:,} clients; posts a window:", *map(str, posts))
        rows = [(name, *(shown(at[name, number].median) for number in posts)) for name in names]
        # The statistic of the goals' ratios: the median of each turn's ratio, not the ratio of two medians.
        over = [
            (
                f"edge over {name}",
                *(shown(median(ratio(at[EDGE, number].values, at[name, number].values))) for number in posts),
            )
            for name in names
            if name != EDGE
        ]
        tables.append(markdown(head, [*rows, *over]))
    return "\n\n".join(tables)


def _layers(figures: Sequence[Figure]) -> str:
    """Say what each layer adds to those before it."""
    layers = [each for each in figures if each.part == idle.PART and "layer" in each.at]
    totals = [0.0, *(each.median for each in layers)]
    added = [after - before for before, after in pairwise(totals)]
    return markdown(
        ("what a connection consists of", "KiB", "with all before it"),
        [(str(each.at["what"]), shown(own), shown(each.median)) for each, own in zip(layers, added, strict=True)],
    )


def _files(figures: Sequence[Figure]) -> str:
    files = [each for each in figures if each.part == idle.PART and "file" in each.at]
    return markdown(("allocated by lines of", "KiB"), [(f"`{each.at['file']}`", shown(each.median)) for each in files])


def _fanout_lines(figures: Sequence[Figure]) -> str | None:
    measured = [each for each in figures if each.part == fanout.PART and each.at]
    if not measured:
        return None
    # The first number of clients has the most sizes of windows.
    clients = measured[0].at["clients"]
    data = []
    for name in ALL:
        own = [each for each in measured if (each.at["by"], each.at["clients"]) == (name, clients)]
        if own:
            data.append(Line(name.removesuffix(" to each"), [(float(each.at["posts"]), each.median) for each in own]))
    title = f"Deliveries for each second of CPU time, {clients:,} clients"
    return lines(title, x="posts a window", y="deliveries/CPU-s", data=data, log=True)


def _latency_lines(figures: Sequence[Figure]) -> str | None:
    measured = [each for each in figures if each.part == latency.PART and each.at]
    goals = [Mark(_MS * each.goal.value, "the goal for p99") for each in measured if each.goal]
    data = [
        Line(
            f"p{share}",
            [(float(e.at["clients"]), _MS * e.median) for e in measured if e.at["percentile"] == share],
        )
        for share in (99, 50)
    ]
    if not measured:
        return None
    title = "From a record of 1 to 50 posts to the last client's last byte"
    return lines(title, x="clients", y="ms", data=data, goal=goals[0] if goals else None)


def _memory_bars(figures: Sequence[Figure]) -> str | None:
    measured = [each for each in figures if each.part == idle.PART and "server" in each.at]
    goals = [Mark(each.goal.value, f"goal: at most {shown(each.goal.value)} KiB") for each in measured if each.goal]
    if not measured:
        return None
    return bars(
        "Resident memory for each idle connection",
        unit="KiB",
        data=[(f"{each.at['server']} ({each.at['clients']:,} connections)", each.median) for each in measured],
        ours=len(goals),
        goal=goals[0] if goals else None,
    )


def main() -> None:
    """Write the page and its plots."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {__spec__.name}",
        description="Write docs/performance.md, and docs/scale.md where there is all for it.",
    )
    parser.add_argument(
        "results",
        nargs="+",
        type=Path,
        help="such as bench-results/20260102T030405Z.json; of two that have a part, the last one counts",
    )
    results: list[Path] = parser.parse_args().results
    runs = [json.loads(path.read_text("utf-8")) for path in results]
    _PLOTS.mkdir(exist_ok=True)
    for name, svg in pictures(latest(runs)).items():
        (_PLOTS / f"{name}.svg").write_text(svg, "utf-8")
    _PAGE.write_text(page(_PAGE.read_text("utf-8"), runs), "utf-8")
    print(f"page: wrote {_PAGE} and its plots")
    constants = estimate_page.constants_of(runs[-1]["at"], latest(runs))
    if constants is None:
        print("page: docs/scale.md stays as it is: these results lack some of what it is computed from")
    else:
        estimate_page.keep(constants)
        estimate_page.write(constants)
        print(f"page: wrote {estimate_page.PAGE}")


if __name__ == "__main__":
    main()
