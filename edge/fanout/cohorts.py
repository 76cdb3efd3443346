"""Who is where in the log: clients at the same position, in the same encoding, go on together, in *cohorts*.

One read of the log serves a whole cohort, each client of it costs one write, and then the cohort as a whole is
elsewhere: nothing is done about a single client, unless it cannot take what it is sent. Laws:

* Every client that was placed, and was neither held nor removed since, is in just one place: it is to be greeted, or
  its cohort rests at the head, stands in line for what has come, or lags.
* A cohort has at most so many clients, so that serving one takes the loop for a moment only.
* Those to be greeted come first, then those who were at the head when a record came, in the order of the records, and
  then those that lag, each of their cohorts once before any of them twice.

This module sends nothing, and knows neither links nor time.
"""

from array import array
from collections import defaultdict, deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from heapq import heapify, heappop, heappush
from itertools import chain, count
from typing import Final, Generic, Protocol, TypeVar

from edge.fanout.session import Place, Session
from edge.feed.position import Position
from edge.wire.encoding import Encoding

MOST: Final = 64
"""How many clients a cohort has at most: serving them takes 0.5 ms for one post, and 2.5 ms for 64 KiB."""


class Placed(Protocol):
    """A client, which is placed by its session; ``key`` tells it from all others that are placed."""

    session: Session
    key: int


C = TypeVar("C", bound=Placed)


class Cohort(Place, Generic[C]):
    """Clients by their keys that are sent the same: what follows ``position``, where they all are, in ``encoding``."""

    __slots__ = ("_keys", "clients", "encoding")

    def __init__(self, position: Position, encoding: Encoding) -> None:
        super().__init__(position)
        self.encoding = encoding
        self.clients: dict[int, C] = {}
        self._keys: array[int] | None = None

    def __len__(self) -> int:
        return len(self.clients)

    @property
    def keys(self) -> Sequence[int]:
        """The clients' keys, side by side: as the dictionary has them, each would have to be fetched from elsewhere."""
        if self._keys is None:
            self._keys = array("q", self.clients)
        return self._keys

    def take_in(self, client: C) -> None:
        """Have a client go on with the others."""
        self.clients[client.key] = client
        self._keys = None
        client.session.go_on_at(self)

    def let_go(self, client: C) -> None:
        """Have it go on by itself."""
        del self.clients[client.key]
        self._keys = None
        client.session.go_on_at(Place(self.position))


class Cohorts(Generic[C]):
    """All clients that go on; ``head`` is the position at which those rest that have been sent everything."""

    def __init__(self, head: Position, most: int = MOST) -> None:
        self.head = head
        self._most = most
        self._greeted: dict[C, None] = {}
        self._resting: defaultdict[Encoding, list[Cohort[C]]] = defaultdict(list)
        self._line: deque[Cohort[C]] = deque()
        self._lagging: dict[tuple[Position, Encoding], list[Cohort[C]]] = {}
        self._held: set[C] = set()
        self.queued = 0
        """How many cohorts have ever stood in line."""
        self.taken = 0
        """How many of these stand there no more: so many as the first of them, since nobody overtakes."""
        # Those that are held, by where they were then; who was let go or has moved since has an entry that is void.
        self._held_at: list[tuple[Position, int, C]] = []
        self._entries = count()

    @property
    def held(self) -> AbstractSet[C]:
        """Those that are sent nothing for now."""
        return self._held

    @property
    def waiting(self) -> int:
        """How many have not been sent all that there is."""
        held = sum(1 for client in self._held if client.session.position < self.head)
        return held + len(self._greeted) + sum(map(len, chain(self._line, *self._lagging.values())))

    def begin(self, head: Position) -> None:
        """Forget everybody but those that are held, and where these were; the head is here from now on."""
        for places in (self._greeted, self._resting, self._line, self._lagging, self._held_at):
            places.clear()
        self.taken = self.queued
        self.head = head

    def advance(self, head: Position) -> bool:
        """Have those who rest stand in line when the head has moved; tell whether it has, and anybody stands there."""
        if head == self.head:
            return False
        before = len(self._line)
        self._line.extend(filter(None, chain.from_iterable(self._resting.values())))
        self.queued += len(self._line) - before
        self._resting.clear()
        self.head = head
        return self.queued > self.taken

    def place(self, client: C) -> None:
        """Give a client its place."""
        self._held.discard(client)
        session = client.session
        if session.is_greeted:
            self._greeted[client] = None
        else:
            alone: Cohort[C] = Cohort(session.position, session.encoding)
            alone.take_in(client)
            self.settle(alone)

    def settle(self, cohort: Cohort[C]) -> None:
        """Give a cohort its place, by its position; it is one with another that has room for all of it."""
        if cohort.position == self.head:
            there = self._resting[cohort.encoding]
        else:
            there = self._lagging.setdefault((cohort.position, cohort.encoding), [])
        if there and len(there[-1]) + len(cohort) <= self._most:
            for client in cohort.clients.values():
                there[-1].take_in(client)
        else:
            there.append(cohort)

    def hold(self, client: C) -> None:
        """Keep a client apart until it is placed again, or, if it is held already, where it is now."""
        self.remove(client)
        self._held.add(client)
        heappush(self._held_at, (client.session.position, next(self._entries), client))
        if len(self._held_at) > 2 * len(self._held) + self._most:
            self._held_at = list({entry[2]: entry for entry in self._held_at if self._is_held_at(entry)}.values())
            heapify(self._held_at)

    def fallen_behind(self, tail: Position) -> list[C]:
        """Name those that are held before the tail, each once; nobody else is looked at."""
        fallen: dict[C, None] = {}
        while self._held_at and self._held_at[0][0] < tail:
            entry = heappop(self._held_at)
            if self._is_held_at(entry):
                fallen[entry[2]] = None
        return list(fallen)

    def _is_held_at(self, entry: tuple[Position, int, C]) -> bool:
        position, _, client = entry
        return client in self._held and client.session.position == position

    def remove(self, client: C) -> None:
        """Forget a client, wherever it is."""
        self._held.discard(client)
        self._greeted.pop(client, None)
        if isinstance(client.session.place, Cohort):
            client.session.place.let_go(client)

    def next_greeted(self) -> C | None:
        """Take out a client that is to be greeted."""
        return self._greeted.popitem()[0] if self._greeted else None

    def next(self) -> Cohort[C] | None:
        """Take out the cohort whose turn it is; it is :meth:`settle`-d again once it was served."""
        while self._line:
            cohort = self._line.popleft()
            self.taken += 1
            if cohort:
                return cohort
        while self._lagging:
            key, cohorts = next(iter(self._lagging.items()))
            cohort = cohorts.pop()
            if not cohorts:
                del self._lagging[key]
            if cohort:
                return cohort
        return None
