"""Which faults befall the system, and when: the same seed gives the same schedule, always.

The kinds are a deck of cards. Each block of :data:`HANDS` seeds, from a multiple of it on, shuffles the deck
anew and deals it out: so such a block holds every kind just once, and a seed alone says what is in its hand.

This module knows neither processes nor clocks.
"""

import random
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

HANDS: Final = 14
"""Into how many schedules the deck is dealt: three or four faults each, and one deck is what CI can afford."""

WORKERS: Final = 3
EDGES: Final = 2
SERVICES: Final = ("rabbitmq", "kafka", "postgres")
CRASH_POINTS: Final = ("bridge.confirmed", "feed.confirmed", "feed.split", "partitions.revoked", "retry.confirmed")

_SIGNALS: Final = ("kill", "term", "stop")
_WORKERS: Final = tuple(f"worker-{number}" for number in range(WORKERS))
_EDGES: Final = tuple(f"edge-{number}" for number in range(EDGES))

KINDS: Final = tuple(
    " ".join(words)
    for words in (
        *product(_SIGNALS, ("one worker", "two workers", "three workers", "edge", *SERVICES)),
        *product(("cut", "stall", "slow", "half-open"), SERVICES),
        *product(("crash",), CRASH_POINTS),
        ("lock", "table"),
        ("time-out", "table"),
        ("undecodable", "row"),
        ("deleted", "post"),
        ("late", "post"),
        ("retention", "edge"),
        ("delete", "queue"),
        ("redeclare", "queue"),
        ("outlast", "table"),
        ("forget", "connections"),
        ("backlog", "partition"),
        ("poison", "bulk"),
        ("clock", "workers"),
        ("add", "partitions"),
    )
)
"""Every kind of fault: what is done, and to what."""

NEEDS_DURABLE_KAFKA: Final = frozenset({"kill kafka", "term kafka", "retention edge", "add partitions"})
"""What a broker that keeps everything in memory, and can neither cut a log nor grow a topic, has no part in."""

_NEEDS_QUIET: Final = frozenset({
    # What is in a queue when it is deleted is lost by RabbitMQ: it must be able to run empty before.
    "delete", "redeclare",
    # These measure how live posts do, and must have nothing to do with anything else.
    "outlast", "forget", "backlog", "poison", "clock", "add",
})  # fmt: skip
"""The acts that want everything well, and have it for themselves."""

_SEEDS_A_SYSTEM: Final = 5

_BEGIN_MS: Final = (500, 8_000)
"""When a fault begins. Its targets may be busy with another one then: it waits for them."""
_SHORT_MS: Final = (500, 5_000)
_LONG_MS: Final = (5_000, 30_000)
_LONG_SHARE: Final = 0.1
"""One in ten is long: they reach the time-outs of all clients, and take most of a run's time."""


@dataclass(frozen=True)
class Fault:
    """One fault: ``kind`` is one of :data:`KINDS`, ``targets`` are what no other fault may touch meanwhile.

    ``at_ms`` counts from the schedule's beginning, and ``lasts_ms`` is for how long what is broken stays so.
    """

    kind: str
    targets: tuple[str, ...]
    at_ms: int
    lasts_ms: int

    @property
    def act(self) -> str:
        """What is done."""
        return self.kind.split()[0]

    @property
    def object(self) -> str:
        """To what."""
        return self.kind.split()[-1]


def deal(seed: int, without: Container[str] = ()) -> tuple[Fault, ...]:
    """Return a seed's faults in the order in which they begin, less those kinds that cannot be had."""
    block, hand = divmod(seed, HANDS)
    deck = list(KINDS)
    # For dice that anyone can throw again; no secrets. A string is hashed in the same way by every Python.
    random.Random(f"deck {block}").shuffle(deck)  # noqa: S311
    dice = random.Random(f"schedule {seed}")  # noqa: S311
    faults = [_fault(kind, dice) for kind in deck[hand::HANDS]]
    return tuple(sorted((fault for fault in faults if fault.kind not in without), key=lambda fault: fault.at_ms))


def systems(seeds: Sequence[int]) -> Iterator[Sequence[int]]:
    """Divide seeds among systems that are started anew: a few for each, and none after one that cuts a log.

    All of a system have the same :func:`queue_arguments`.

    An old system hides what befalls only a new one, whose partitions were never committed; a new one hides the rest.
    Once a log is cut, an edge that starts has no history to offer, and rightly says so to whoever has a cursor.
    """
    some: list[int] = []
    for seed in seeds:
        some.append(seed)
        if seed % _SEEDS_A_SYSTEM == _SEEDS_A_SYSTEM - 1 or any(fault.act == "retention" for fault in deal(seed)):
            yield some
            some = []
    if some:
        yield some


def queue_arguments(seed: int) -> dict[str, str]:
    """Return the arguments of a seed's queue: a classic one for some seeds, a quorum queue for the next ones."""
    return {"x-queue-type": "quorum"} if seed // _SEEDS_A_SYSTEM % 2 else {}


def _fault(kind: str, dice: random.Random) -> Fault:
    at, lasts = dice.randint(*_BEGIN_MS), dice.randint(*(_LONG_MS if dice.random() < _LONG_SHARE else _SHORT_MS))
    return Fault(kind, _targets(kind, dice), at, lasts)


def _targets(kind: str, dice: random.Random) -> tuple[str, ...]:
    act, *_, name = words = kind.split()
    if act in _NEEDS_QUIET:
        return (*_EDGES, *_WORKERS, *SERVICES)
    if "worker" in name:
        return tuple(sorted(dice.sample(_WORKERS, ("one", "two", "three").index(words[1]) + 1)))
    if act == "retention":
        # All the rest has to be well: what the other edge shows tells what this one must own up to, and what
        # is announced must be over and done with before its record goes.
        return (*dice.sample(_EDGES, EDGES), *_WORKERS, *SERVICES)
    if name == "edge":
        return (dice.choice(_EDGES),)
    if act == "crash":
        return _WORKERS
    return ("postgres",) if name in {"table", "row", "post"} else (name,)
