"""What the Autobahn test suite has found: which of its cases went otherwise than they must, and which of those we know.

A case is judged twice, by what was echoed and by how the connection was closed. NON-STRICT is allowed by RFC 6455 and
not what it would rather have; INFORMATIONAL has no right answer.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Self

_FINE: Final = frozenset({"OK", "INFORMATIONAL"})
_COLUMNS: Final = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED")


@dataclass(frozen=True, slots=True)
class Behavior:
    """The two judgements on a case."""

    messages: str
    closing: str = "OK"

    def is_fine(self) -> bool:
        """Say whether there is nothing to explain."""
        return {self.messages, self.closing} <= _FINE

    def worst(self) -> str:
        """Return the column in which it counts."""
        if self.messages == "OK" and self.closing not in _FINE:
            return "FAILED"
        return self.messages if self.messages in _COLUMNS else "FAILED"


EXPECTED: Final[Mapping[str, Behavior]] = {}
"""What is otherwise than it must be, and listed in docs/protocol.md's section on conformance: nothing."""
_NOT_RUN: Final = Behavior("UNIMPLEMENTED")
"""How the suite reports a case that it has not run, since the server declined the compression that it offers."""
DECLINED: Final[Mapping[str, str]] = {
    "13.2": "server_no_context_takeover",
    "13.3": "server_max_window_bits=9",
    "13.5": "server_no_context_takeover; server_max_window_bits=9",
    "13.6": "server_no_context_takeover; server_max_window_bits=15",
}
"""The sections whose only offer the edge declines by design, and what each offers: docs/protocol.md says why."""


@dataclass(frozen=True, slots=True)
class Report:
    """Each case that was run, and how it went."""

    cases: Mapping[str, Behavior]

    expected: Mapping[str, Behavior] = field(default_factory=lambda: EXPECTED)
    """Those that are known."""

    @classmethod
    def of(cls, agent: Mapping[str, Mapping[str, object]]) -> Self:
        """Read what the suite's ``index.json`` has on one server."""
        return cls({name: Behavior(str(case["behavior"]), str(case["behaviorClose"])) for name, case in agent.items()})

    def complaints(self, groups: Sequence[int]) -> list[str]:
        """Return a sentence for everything that was not expected; ``groups`` are those that were asked for."""
        found = [
            f"case {name}: {case.messages}, closing {case.closing}"
            for name, case in self.cases.items()
            if not case.is_fine() and self.expected.get(name) != case
            if not (case == _NOT_RUN and _section(name) in DECLINED)
        ]
        found += [
            f"case {name}: an offer of {DECLINED[_section(name)]} is declined by design, and was not"
            for name, case in self.cases.items()
            if _section(name) in DECLINED and case != _NOT_RUN
        ]
        found += [
            f"case {name} is expected to be {case.messages} and was not: take it off the list"
            for name, case in self.expected.items()
            if name in self.cases and self.cases[name].is_fine()
        ]
        run = set(map(_group, self.cases))
        return found + [f"no case of group {group} was run" for group in groups if group not in run]

    def table(self) -> str:
        """Count the cases of each group by how they went."""
        lines: list[tuple[str, ...]] = [("group", "cases", *_COLUMNS)]
        for group, names in groupby(sorted(self.cases, key=_group), key=_group):
            lines.append(_counted(str(group), [self.cases[name] for name in names]))
        lines.append(_counted("all", list(self.cases.values())))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        )


def _counted(name: str, cases: Sequence[Behavior]) -> tuple[str, ...]:
    count = Counter(case.worst() for case in cases)
    return (name, str(len(cases)), *(str(count[column]) for column in _COLUMNS))


def _section(case: str) -> str:
    return case.rpartition(".")[0]


def _group(case: str) -> int:
    return int(case.partition(".")[0])
