"""A store of positions in memory: it keeps the port's word, which ``tests/edge/positions/contract.py`` asks."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from edge.positions.device import DEVICES, Key
from edge.positions.keeper import Outcome
from edge.positions.store import Away, Row


class MemoryStore:
    """Stores positions in memory; ``away`` says why it cannot now.

    Whoever asks waits for the ``gate``; ``asked`` is set when somebody does.
    """

    def __init__(self) -> None:
        self.positions: dict[Key, str] = {}
        """The one that was stored the longest time ago first."""
        self.is_closed = False
        self.away: str | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.written: list[list[Row]] = []
        self.reads: list[list[Key]] = []

    def store(self, rows: Sequence[Row]) -> dict[Key, str]:
        """Store positions; return what is further on."""
        further: dict[Key, str] = {}
        for key, position, replaces in rows:
            there = self.positions.get(key)
            if there is None or there < position or there == replaces:
                self.positions.pop(key, None)
                self.positions[key] = position
                own = [each for each in self.positions if each.subject == key.subject]
                for each in own[: max(0, len(own) - DEVICES)]:
                    del self.positions[each]
            elif there > position:
                further[key] = there
        return further

    async def write(self, rows: Sequence[Row]) -> Mapping[Key, str]:
        """Store positions when the gate is open."""
        self.written.append(list(rows))
        await self._let_in()
        return self.store(rows)

    async def close(self) -> None:
        """Be closed."""
        self.is_closed = True

    async def read(self, keys: Sequence[Key]) -> Mapping[Key, str]:
        """Return positions when the gate is open."""
        self.reads.append(list(keys))
        await self._let_in()
        return {key: self.positions[key] for key in keys if key in self.positions}

    async def _let_in(self) -> None:
        self.asked.set()
        await asyncio.sleep(0)
        await self.gate.wait()
        if self.away is not None:
            raise Away(self.away)


class Foreigners:
    """Tells which positions are foreign, when its gate is open."""

    def __init__(self, *positions: str) -> None:
        self.positions = set(positions)
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[set[str]] = []

    async def __call__(self, positions: Collection[str]) -> set[str]:
        """Return those of these that are foreign."""
        self.asked.append(set(positions))
        await self.gate.wait()
        return self.positions.intersection(positions)


class Figures:
    """The figures of stored positions."""

    stored, waiting, age = 30, 4, 2.5
    writes: ClassVar[Mapping[Outcome, int]] = {"done": 7, "failed": 1}
    reads: ClassVar[Mapping[Outcome, int]] = {"done": 3}
    trouble: str | None = "gone"
