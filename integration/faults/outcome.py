"""What came out of schedules: one line for each, a table of all, and JSON.

This module knows neither processes nor clocks.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integration.faults.observations import Happened
from integration.faults.verdict import Verdict

_SHOWN_CHARGES = 5


@dataclass(frozen=True)
class Outcome:
    """One schedule's end.

    ``void`` says why it does not count, ``stuck`` which processes did not get well again, ``restarts`` which ended
    by themselves and were started again.
    """

    name: str
    faults: Sequence[Happened]
    verdict: Verdict
    stuck: Sequence[str]
    restarts: Sequence[str]
    posts: int
    deliveries: int
    gaps: int
    seconds: float
    silence: float = 0.0
    """The longest time in which a client that stays was shown nothing, in seconds."""
    promises: Sequence[str] = ()
    """Promises that were found broken otherwise than by comparing what clients saw, each a sentence."""
    clients: Mapping[str, int] = field(default_factory=dict)
    """How many there were of each transport."""
    tokens: int = 0
    """How many tokens they brought: at a connection, or before one expired."""

    @property
    def void(self) -> list[str]:
        """Which faults are not shown to have happened: such a schedule does not count."""
        return [fault.kind for fault in self.faults if fault.evidence is None]

    @property
    def charges(self) -> dict[str, list[str]]:
        """What the product is charged with, by the name of the fault."""
        return {name: said for name, said in self._all_charges.items() if said}

    @property
    def _all_charges(self) -> dict[str, list[str]]:
        # No fault in the deck is a reason for a process to end: what is away is waited for (law 9).
        ended = [f"{restart}, and no fault had ended it" for restart in self.restarts]
        return {**self.verdict.charges, "stuck": list(self.stuck), "broken promises": [*self.promises, *ended]}

    @property
    def word(self) -> str:
        """The result in a word or two."""
        if self.charges:
            return ", ".join(f"{len(said)} {name}" for name, said in self.charges.items())
        return f"does not count: no proof of {', '.join(self.void)}" if self.void else "clean"

    def as_json(self) -> dict[str, Any]:
        """Return what JSON can hold of it."""
        return {
            "schedule": self.name,
            "result": self.word,
            "posts": self.posts,
            "deliveries": self.deliveries,
            "clients": dict(self.clients),
            "tokens": self.tokens,
            "gaps_said": self.gaps,
            "slowest_seconds": round(self.verdict.slowest, 2),
            "silence_seconds": round(self.silence, 2),
            "seconds": round(self.seconds, 1),
            "faults": [{"kind": one.kind, "seconds": round(one.span.end - one.span.begin, 1),
                        "evidence": one.evidence} for one in self.faults],
            "restarts": list(self.restarts),
            "charges": self.charges,
        }  # fmt: skip


def line(outcome: Outcome) -> str:
    """Tell one schedule in a line."""
    kinds = ", ".join(fault.kind for fault in outcome.faults) or "no fault"
    restarts = f"; by themselves: {', '.join(outcome.restarts)}" if outcome.restarts else ""
    return (
        f"{outcome.name}: {outcome.word} - {outcome.posts} posts, {outcome.deliveries} deliveries, {outcome.gaps} gaps "
        f"said, slowest {outcome.verdict.slowest:.1f} s, took {outcome.seconds:.0f} s - {kinds}{restarts}"
    )


def sentences(outcome: Outcome) -> list[str]:
    """Tell what is wrong with a schedule, the first few of each charge."""
    told = [f"  {name}: {sentence}" for name, said in outcome.charges.items() for sentence in said[:_SHOWN_CHARGES]]
    return [*told, *(f"  {fault.kind}: {fault.evidence or 'no proof'}" for fault in outcome.faults)]


def table(outcomes: Iterable[Outcome]) -> str:
    """Show, for each kind of fault, how often it happened, and what came of it."""
    counted = [outcome for outcome in outcomes if not outcome.void]
    times = Counter(fault.kind for outcome in counted for fault in outcome.faults)
    charged = Counter(fault.kind for outcome in counted if outcome.charges for fault in outcome.faults)
    rows = [
        ("fault", "times", "in schedules with a charge"),
        *((kind, str(times[kind]), str(charged[kind])) for kind in sorted(times)),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "-|-".join("-" * width for width in widths))
    return "\n".join(f"| {text.ljust(len(lines[1]))} |" if text is not lines[1] else f"|-{text}-|" for text in lines)


def total(outcomes: Sequence[Outcome]) -> str:
    """Sum up."""
    counted = [outcome for outcome in outcomes if not outcome.void]
    charges = Counter[str]()
    for outcome in counted:
        charges.update({name: len(said) for name, said in outcome.charges.items()})
    found = ", ".join(f"{charges[name]} {name}" for name in (*Verdict().charges, "stuck", "broken promises"))
    posts = sum(outcome.posts for outcome in counted)
    faults = sum(len(outcome.faults) for outcome in counted)
    return (
        f"{len(counted)} schedules counted ({len(outcomes) - len(counted)} without proof), {faults} faults, "
        f"{posts} posts: {found}"
    )
