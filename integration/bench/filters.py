"""Clients with filters: what a window costs beside clients that see everything, and beside asking each client.

Each client has as many random authors of a hundred thousand; a window has 50 posts. The memory is that of the whole
process, for each author of a filter: what a client costs anyway is measured with clients that have none.
"""

from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from integration.bench.companion import companion
from integration.bench.figures import Figure, Goal
from integration.bench.stage import Stage

PART: Final = "filters"
_MS: Final = 1000
_PATIENCE: Final = 900.0
_KINDS: Final = {"all": "that see everything", "asked": "with filters, each asked", "index": "with filters"}


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    clients: int = 10_000
    authors: int = 200
    windows: int = 20


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Measure each kind of clients in a process of its own, one after the other."""
    name = f"{size.clients:,} clients"
    figures: list[Figure] = []
    answers: dict[str, dict[str, Any]] = {}
    for mode, kind in _KINDS.items():
        stage.say(f"{PART}: {name} {kind}")
        arguments = (mode, size.clients, size.authors, size.windows)
        async with companion("integration.bench.selecting", *arguments) as hub:
            answers[mode] = answer = await hub.answer(_PATIENCE)
        note = f"{answer['writes']:,.0f} writes, {answer['posts']:,.0f} deliveries a window"
        seconds = [_MS * each for each in answer["seconds"]]
        figures.append(Figure(PART, f"{name} {kind}: CPU time a window", "ms", seconds, note=note))
        if mode == "index":
            longest = _MS * answer["longest"]
            figures.append(
                Figure(PART, f"{name} {kind}: longest turn", "ms of CPU time", [longest], Goal("at most", 20))
            )
    entries = size.clients * size.authors
    index, asked = answers["index"], answers["asked"]
    share = median(index["seconds"]) / median(asked["seconds"])
    memory = (index["indexed"] - answers["all"]["indexed"]) / entries
    return [
        *figures,
        Figure(PART, f"{name} with filters: of the CPU time of asking each", "", [share], Goal("at most", 1)),
        Figure(PART, "memory of a filter, selection alone", "bytes an author", [index["selections"] / entries]),
        Figure(PART, "memory of a filter, with the index", "bytes an author", [memory], Goal("at most", 32)),
        Figure(PART, "to index a filter", "µs of CPU time an author", [1e6 * index["joined"] / entries]),
    ]
