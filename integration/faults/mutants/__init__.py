"""The product with one of its laws broken on purpose: the checker has to see each.

Each module here runs the product with one method replaced. They are test builds: nothing in the product knows of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from integration.faults.installation import EDGE, WORKER, Installation
from integration.faults.schedule import CRASH_POINTS, WORKERS, Fault

_WORKERS: Final = tuple(f"worker-{number}" for number in range(WORKERS))


@dataclass(frozen=True)
class Mutant:
    """What is wrong with it, the faults that bring it to light, and one of the charges that must follow."""

    name: str
    installation: Callable[..., Installation]
    faults: tuple[Fault, ...]
    expected: frozenset[str]


def _mutant(name: str, *faults: Fault, expected: str, worker: str = WORKER, edge: str = EDGE) -> Mutant:
    return Mutant(name, partial(Installation, worker=worker, edge=edge), faults, frozenset({expected}))


# Long enough for a client to stay away for a window, which takes it ten seconds at most, and to come back.
_ABSENCES: Final = Fault("slow postgres", ("postgres",), at_ms=1_000, lasts_ms=14_000)

# A device comes back as often as it takes: nothing is broken, so that all that it acknowledged is stored when it does.
_RETURNS: Final = Fault("return devices", (), at_ms=0, lasts_ms=0)

MUTANTS: Final = (
    _mutant(
        "it acknowledges before Kafka has confirmed",
        Fault("stall kafka", ("kafka",), at_ms=1_000, lasts_ms=4_000),
        Fault("kill three workers", _WORKERS, at_ms=3_000, lasts_ms=500),
        expected="lost",
        worker="integration.faults.mutants.early_ack",
    ),
    _mutant(
        "it releases before the feed has confirmed",
        Fault("stall postgres", ("postgres",), at_ms=1_000, lasts_ms=6_000),
        Fault("kill three workers", _WORKERS, at_ms=5_500, lasts_ms=500),
        expected="lost",
        worker="integration.faults.mutants.early_release",
    ),
    _mutant(
        "it shows what the feed repeats",
        Fault(f"crash {CRASH_POINTS[1]}", _WORKERS, at_ms=2_000, lasts_ms=500),
        expected="twice",
        edge="integration.faults.mutants.repeats",
    ),
    _mutant(
        "one of its bridges does not come back",
        Fault("cut rabbitmq", ("rabbitmq",), at_ms=1_000, lasts_ms=1_000),
        expected="stuck",
        worker="integration.faults.mutants.dead_bridge",
    ),
    _mutant(
        "it resumes one post too late",
        _ABSENCES,
        expected="unsaid gaps",
        edge="integration.faults.mutants.skips",
    ),
    _mutant(
        "it shows everybody's posts to who asked for some authors",
        expected="not asked for",
        edge="integration.faults.mutants.everybodys",
    ),
    _mutant(
        "it forgets what a token allows to who asks for some authors",
        expected="not allowed",
        edge="integration.faults.mutants.leaks",
    ),
    _mutant(
        "it stores where a device was only once",
        _RETURNS,
        expected="twice",
        edge="integration.faults.mutants.old_places",
    ),
    _mutant(
        "it does not look where a device was",
        _RETURNS,
        expected="unsaid gaps",
        edge="integration.faults.mutants.no_places",
    ),
    _mutant(
        "it overlooks posts of the authors that a client asked for",
        _ABSENCES,
        expected="unsaid gaps",
        edge="integration.faults.mutants.overlooks",
    ),
    _mutant(
        "its events have the id of the one before",
        _ABSENCES,
        expected="twice",
        edge="integration.faults.mutants.old_ids",
    ),
)
