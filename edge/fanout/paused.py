"""Clients that are sent nothing for now, and which of them the log moves past meanwhile.

Laws: a client is here once, however often it was paused, and until it is let go of; those before a position are found
without a look at anybody else. Who reads a replay is not looked for: the replay says by itself whom it left behind.

This module knows neither links nor time.
"""

from collections.abc import Set as AbstractSet
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final, Generic, Protocol, TypeVar

from edge.fanout.session import Session
from edge.feed.position import Position

# So few void entries are kept whatever: to look for them costs more.
_SLACK: Final = 64


class Placed(Protocol):
    """A client, which is placed by its session; ``key`` tells it from all others that are placed."""

    session: Session
    key: int


C = TypeVar("C", bound=Placed)


class Paused(Generic[C]):
    """All clients that are paused, by where they are."""

    def __init__(self) -> None:
        self._clients: set[C] = set()
        # By where they were then; an entry is void when its client was let go of, or has moved since.
        self._places: list[tuple[Position, int, C]] = []
        self._entries = count()

    @property
    def clients(self) -> AbstractSet[C]:
        """Who is paused."""
        return self._clients

    def add(self, client: C) -> None:
        """Keep a client, or, if it is here already, note where it is now."""
        self._clients.add(client)
        if client.session.replay is not None:
            return
        heappush(self._places, (client.session.position, next(self._entries), client))
        if len(self._places) > 2 * len(self._clients) + _SLACK:
            self._places = list({entry[2]: entry for entry in self._places if self._is_valid(entry)}.values())
            heapify(self._places)

    def discard(self, client: C) -> None:
        """Let go of a client, if it is here."""
        self._clients.discard(client)

    def forget_places(self) -> None:
        """Forget where clients are: positions are those of another log from now on."""
        self._places.clear()

    def before(self, position: Position, limit: int) -> list[C]:
        """Name some that are before a position, each once."""
        found: dict[C, None] = {}
        while len(found) < limit and self._places and self._places[0][0] < position:
            entry = heappop(self._places)
            if self._is_valid(entry):
                found[entry[2]] = None
        return list(found)

    def waiting(self, head: Position) -> int:
        """Count those that have not been sent everything before ``head``, or all that their replay has."""
        behind = {entry[2] for entry in self._places if entry[0] < head and self._is_valid(entry)}
        return len(behind) + sum(client.session.replay is not None for client in self._clients)

    def _is_valid(self, entry: tuple[Position, int, C]) -> bool:
        position, _, client = entry
        return client in self._clients and client.session.position == position
