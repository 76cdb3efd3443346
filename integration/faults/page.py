"""``python -m integration.faults.page OUTCOMES.jsonl``: write the tables of schedules in docs/reliability*.md.

The lines are those of ``fault-results/all.jsonl``; of several of one schedule the last one counts, and the schedule is
marked. What stands between the pages' marks is replaced; the words around are written by people.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from integration.bench.marks import fill, markdown
from integration.faults.verdict import Verdict

_DOCS: Final = Path(__file__).parents[2] / "docs"
_COLUMNS: Final = 3
_FORMERLY: Final = {"WebSocket": 4, "plain WebSocket": 2}

Line = Mapping[str, Any]
"""An outcome, decoded."""


def main() -> None:
    """Write both pages from these files."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description="Write docs/reliability*.md.")
    parser.add_argument("outcomes", nargs="+", type=Path, help="outcomes, such as fault-results/all.jsonl")
    outcomes: list[Path] = parser.parse_args().outcomes
    lines = [json.loads(line) for path in outcomes for line in path.read_text("utf-8").splitlines()]
    for page, blocks in pages(lines).items():
        path = _DOCS / page
        path.write_text(fill(path.read_text("utf-8"), blocks), "utf-8")
        print(f"page: wrote docs/{page}")


def pages(lines: Sequence[Line]) -> dict[str, dict[str, str]]:
    """Return what stands between the marks of each page."""
    runs = Counter(line["schedule"] for line in lines)
    last = sorted({line["schedule"]: line for line in lines}.values(), key=_seed)
    counted = [line for line in last if all(fault["evidence"] is not None for fault in line["faults"])]
    return {
        "reliability.md": {"found": _found(counted, len(last)), "kinds": _kinds(counted)},
        "reliability-schedules.md": {"schedules": _schedules(last, runs)},
    }


def _seed(line: Line) -> int:
    return int(line["schedule"].removeprefix("seed "))


def _found(counted: Sequence[Line], schedules: int) -> str:
    """Sum up what was looked for."""
    charges = Counter[str]()
    for line in counted:
        charges.update({name: len(said) for name, said in line["charges"].items()})
    rows = [
        ("schedules that counted", f"{len(counted):,}"),
        ("schedules that did not count", f"{schedules - len(counted):,}"),
        ("faults, all of which were shown to have happened", _sum(len(line["faults"]) for line in counted)),
        ("posts", _sum(line["posts"] for line in counted)),
        (f"deliveries to {_clients(counted)}", _sum(line["deliveries"] for line in counted)),
        *((name, f"{charges[name]:,}") for name in (*Verdict().charges, "stuck", "broken promises")),
        ("gaps that were said", _sum(line["gaps_said"] for line in counted)),
        ("of them in schedules in which retention passed an edge", _sum(_gaps_of_retention(counted))),
        ("workers that ended themselves without being made to", _sum(len(line["restarts"]) for line in counted)),
        ("slowest delivery, not counting the faults", f"{max(line['slowest_seconds'] for line in counted):.1f} s"),
    ]
    return markdown(("what was looked for", "found"), rows)


def _clients(lines: Sequence[Line]) -> str:
    """Say by which transports the clients came; outcomes of before there were several do not tell."""
    kinds = {tuple(line.get("clients", _FORMERLY).items()) for line in lines}
    told = sorted(", ".join(f"{number} by {transport}" for transport, number in kind) for kind in kinds)
    return f"clients ({', or '.join(told)})"


def _gaps_of_retention(lines: Iterable[Line]) -> Iterable[int]:
    return (line["gaps_said"] for line in lines if "retention edge" in _kinds_of(line))


def _sum(numbers: Iterable[int]) -> str:
    return f"{sum(numbers):,}"


def _kinds(lines: Sequence[Line]) -> str:
    """Say how often each kind of fault happened, some beside each other."""
    times = Counter(kind for line in lines for kind in _kinds_of(line))
    cells = [(kind, str(times[kind])) for kind in sorted(times)]
    height = -(-len(cells) // _COLUMNS)
    columns = [cells[begin : begin + height] for begin in range(0, len(cells), height)]
    rows = [[text for cell in row for text in cell] for row in zip_longest(*columns, fillvalue=("", ""))]
    return markdown(("fault", "times") * len(columns), rows)


def _schedules(lines: Sequence[Line], runs: Mapping[str, int]) -> str:
    return markdown(
        ("seed", "posts", "deliveries", "gaps said", "slowest, s", "faults"),
        [
            (
                f"{_seed(line)}{'*' if runs[line['schedule']] > 1 else ''}",
                f"{line['posts']:,}",
                f"{line['deliveries']:,}",
                str(line["gaps_said"]),
                f"{line['slowest_seconds']:.1f}",
                ", ".join(_kinds_of(line)),
            )
            for line in lines
        ],
    )


def _kinds_of(line: Line) -> list[str]:
    return [fault["kind"] for fault in line["faults"]]


if __name__ == "__main__":
    main()
