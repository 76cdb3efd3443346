"""The fan-out: deliveries for each second of CPU time, and how near that is to what one process can do at all.

A delivery is one post to one client. All contenders have as many clients connected and take turns, in another order
each time: who comes just after whom makes a difference. Each gets its windows one at a time, the next when every client
has the one before, after a pause. All of a server's CPU time counts, its Kafka consumer's too. The limit is a loop that
writes each window to each client in one call, and does nothing else.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from integration.bench.contenders import EDGE, LIMIT_IN_C, LIMIT_IN_PYTHON, RIVALS, WRITE_JSON, Field, field_of
from integration.bench.figures import Figure, Goal, ratio
from integration.bench.stage import Stage

PART: Final = "fanout"

_OVER_LIMIT: Final = {1: Goal("at least", 0.8), 50: Goal("at least", 0.8)}
_AHEAD: Final = Goal("at least", 1.0)
_OVER: Final = {(50, WRITE_JSON): Goal("at least", 20)}
"""What the edge should be ahead by where more is asked than being ahead: of what it replaces, at fifty posts."""


@dataclass(frozen=True)
class Size:
    """How much is measured, in turns of so much CPU time.

    ``turns`` says for each number of clients how many turns everybody has with windows of so many posts. A ratio of two
    turns is 10 % off as easily as not: where a goal is near there are many.
    """

    turns: Mapping[int, Mapping[int, int]] = field(
        default_factory=lambda: {2_000: {1: 31, 2: 5, 5: 5, 10: 5, 20: 5, 50: 5}, 10_000: {1: 31, 50: 3}},
    )
    seconds: float = 0.2
    without: Collection[str] = ()
    """Contenders that are left out."""


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Let all take turns, with windows of each size."""
    figures: list[Figure] = []
    for clients in size.turns:
        stage.say(f"{PART}: {clients:,} clients connect to each contender")
        async with field_of(stage, clients, size.without) as contenders:
            for name, why in contenders.missing.items():
                stage.say(f"{PART}: {name} is missing: {why}")
            for posts in size.turns[clients]:
                figures += await _compare(stage, contenders, clients, posts, size)
    return figures


async def _compare(stage: Stage, contenders: Field, clients: int, posts: int, size: Size) -> list[Figure]:
    results: dict[str, list[float]] = {each.name: [] for each in contenders.contenders}
    orders = Random(posts)  # noqa: S311 - an order is no secret
    repetitions = size.turns[clients][posts]
    for number in range(1, repetitions + 1):
        stage.say(f"{PART}: {clients:,} clients, windows of {posts}, {number} of {repetitions}")
        for each in orders.sample(contenders.contenders, len(contenders.contenders)):
            results[each.name].append(await each.deliveries_per_cpu_second(posts, seconds=size.seconds))
    what = f"{clients:,} clients, {posts} post{'s' if posts > 1 else ''} a window"
    return [
        *(
            Figure(PART, f"{what}: {each.name}", "deliveries/CPU-s", results[each.name],
                   note=f"clients {each.clients.take_saturation():.0%} busy",
                   at={"clients": clients, "posts": posts, "by": each.name})
            for each in contenders.contenders
        ),
        *_ratios(what, posts, results, "; ".join(f"no {name}: {why}" for name, why in contenders.missing.items())),
    ]  # fmt: skip


def _ratios(what: str, posts: int, results: Mapping[str, Sequence[float]], missing: str) -> list[Figure]:
    limit = LIMIT_IN_C if LIMIT_IN_C in results else LIMIT_IN_PYTHON
    edge = results[EDGE]
    return [
        Figure(
            PART,
            f"{what}: edge over {limit}",
            "ratio",
            ratio(edge, results[limit]),
            _OVER_LIMIT.get(posts),
            note=missing,
        ),
        *(
            Figure(
                PART, f"{what}: edge over {name}", "ratio", ratio(edge, results[name]), _OVER.get((posts, name), _AHEAD)
            )
            for name in RIVALS
            if name in results
        ),
    ]
