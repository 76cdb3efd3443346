"""Resting clients: what it costs to have them while nothing is sent, beside what it cost an earlier commit.

They answer the edge's pings, at its own settings, and nothing else happens. The earlier edge is built as a wheel and
runs with the same dependencies, in turn with the present one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from integration.bench import built
from integration.bench.crowd import crowd
from integration.bench.feed import Feed
from integration.bench.figures import Figure, Goal, ratio
from integration.bench.stage import Stage
from integration.bench.usage import cpu_seconds, serving

PART: Final = "resting"
_BEFORE: Final = "d94cebe"
"""The last commit at which aiohttp read what clients send."""
_NO_MORE: Final = Goal("at most", 1)
_PINGS: Final = {"PING_SECONDS": 20, "DEAD_SECONDS": 60}
"""The defaults."""


@dataclass(frozen=True)
class Size:
    """How much is measured: ``clients`` come from processes of ``a_process`` each and rest for so many seconds."""

    clients: int = 15_000
    a_process: int = 5_000
    seconds: float = 60
    repetitions: int = 2
    before: str | None = _BEFORE
    """The commit to compare with, if any."""


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Let the two rest in turn; where the earlier one cannot be had, the present one rests alone."""
    missing, variables = "", {}
    if size.before is not None:
        try:
            folder = await built.wheel(stage.scratch, size.before)
            # Else the interpreter would look into the working directory first, which is this tree.
            variables = {"PYTHONPATH": folder, "PYTHONSAFEPATH": 1}
        except built.Missing as error:
            missing = f"no {size.before}: {error}"
            stage.say(f"{PART}: {missing}")
    now: list[float] = []
    before: list[float] = []
    pings = 0
    for number in range(1, size.repetitions + 1):
        stage.say(f"{PART}: {size.clients:,} clients rest for {size.seconds:g} s, {number} of {size.repetitions}")
        used, pings = await _rest(stage, size, {})
        now.append(used)
        if variables:
            used, _ = await _rest(stage, size, variables)
            before.append(used)
    return _figures(size, now, before, f"{pings:,} pings", missing)


async def _rest(stage: Stage, size: Size, variables: dict[str, Any]) -> tuple[float, int]:
    """Return the CPU time of an edge whose clients rest, and how many pings they answered."""
    async with stage.installation(**_PINGS, **variables) as (system, edge), stage.producer() as producer:
        process = serving(edge.port)
        async with crowd(edge.port, size.clients, a_process=size.a_process) as clients:
            # As clients are that have been there for a while.
            await Feed(producer, system.feed).window(1)
            await clients.begun()
            begin = cpu_seconds(process)
            pings = await clients.idle(size.seconds)
            return cpu_seconds(process) - begin, pings


def _figures(size: Size, now: Sequence[float], before: Sequence[float], pings: str, missing: str) -> list[Figure]:
    name = f"{size.clients:,} clients rest for {size.seconds:g} s"
    at: dict[str, str | int] = {"clients": size.clients, "seconds": round(size.seconds)}
    figures = [Figure(PART, f"{name}: CPU time", "s", now, note=missing or pings, at=at)]
    if before:
        figures += [
            Figure(PART, f"{name}: CPU time of commit {size.before}", "s", before),
            Figure(PART, f"{name}: now over commit {size.before}", "ratio", ratio(now, before), _NO_MORE),
        ]
    return figures
