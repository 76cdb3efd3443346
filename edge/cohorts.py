"""Who is where in the log: clients at the same position, in the same form, are a *cohort*.

One read of the log serves a whole cohort, and each client of it costs one write. Laws:

* Every client that was placed, and was neither held nor removed since, is in just one place: it is to be greeted, it
  rests at the head, its cohort stands in line for what has come, or it lags.
* Those to be greeted come first, then those who were at the head when a record came, in the order of the records, and
  then those that lag, each of their cohorts once before any of them twice.

This module sends nothing, and knows neither links nor time.
"""

from collections import defaultdict, deque
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Generic, NamedTuple, Protocol, TypeVar

from edge.cursors import Position
from edge.frames import Form
from edge.session import Session


class Placed(Protocol):
    """A client, which is placed by its session."""

    session: Session


C = TypeVar("C", bound=Placed)


class Cohort(NamedTuple, Generic[C]):
    """Clients that are sent the same: what follows ``position`` in ``form``."""

    position: Position
    form: Form
    clients: set[C]
    lags: bool
    """Whether it was not at the head when the last record came."""


class Cohorts(Generic[C]):
    """All clients that go on; ``head`` is the position at which those rest that have been sent everything."""

    def __init__(self, head: Position) -> None:
        self.head = head
        self._greeted: dict[C, None] = {}
        self._resting: defaultdict[Form, set[C]] = defaultdict(set)
        self._line: deque[Cohort[C]] = deque()
        self._lagging: dict[tuple[Position, Form], set[C]] = {}
        self._held: set[C] = set()

    @property
    def held(self) -> AbstractSet[C]:
        """Those that are sent nothing for now."""
        return self._held

    @property
    def waiting(self) -> int:
        """How many have not been sent all that there is."""
        held = sum(1 for client in self._held if client.session.position < self.head)
        places = chain((self._greeted,), (cohort.clients for cohort in self._line), self._lagging.values())
        return held + sum(map(len, places))

    def begin(self, head: Position) -> None:
        """Forget everybody but those that are held; the head is here from now on."""
        for places in (self._greeted, self._resting, self._line, self._lagging):
            places.clear()
        self.head = head

    def advance(self, head: Position) -> None:
        """Have those who rest stand in line when the head has moved."""
        if head != self.head:
            places = self._resting.items()
            self._line.extend(Cohort(self.head, form, clients, lags=False) for form, clients in places if clients)
            self._resting.clear()
            self.head = head

    def place(self, client: C) -> None:
        """Give a client its place."""
        self._held.discard(client)
        if client.session.is_greeted:
            self._greeted[client] = None
        else:
            self.at(client.session.position, client.session.form).add(client)

    def at(self, position: Position, form: Form) -> set[C]:
        """Return those who have been sent everything before ``position``, to be added to."""
        if position == self.head:
            return self._resting[form]
        return self._lagging.setdefault((position, form), set())

    def hold(self, client: C) -> None:
        """Keep a client apart until it is placed again."""
        self.remove(client)
        self._held.add(client)

    def remove(self, client: C) -> None:
        """Forget a client, wherever it is."""
        session = client.session
        self._held.discard(client)
        self._greeted.pop(client, None)
        self._resting[session.form].discard(client)
        if (lagging := self._lagging.get((session.position, session.form))) is not None:
            lagging.discard(client)
        for cohort in self._line:
            cohort.clients.discard(client)

    def next_greeted(self) -> C | None:
        """Take out a client that is to be greeted."""
        return self._greeted.popitem()[0] if self._greeted else None

    def next(self) -> Cohort[C] | None:
        """Take out the cohort whose turn it is."""
        if self._line:
            return self._line.popleft()
        while self._lagging:
            position, form = key = next(iter(self._lagging))
            if clients := self._lagging.pop(key):
                return Cohort(position, form, clients, lags=True)
        return None

    def put_back(self, cohort: Cohort[C]) -> None:
        """Have the clients that are left of a cohort come again: those that lag after all others, others at once."""
        if not cohort.clients:
            return
        if cohort.lags:
            self._lagging.setdefault((cohort.position, cohort.form), set()).update(cohort.clients)
        else:
            self._line.appendleft(cohort)
