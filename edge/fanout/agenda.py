"""Whose turn it is: the live feed first, then all other work, a piece of each kind in turn.

Laws:

* Cohorts that were at the head when a record came go before everything else, in the order of the records.
* Newcomers, laggards and closings have a piece each in turn, as long as there are any; of each kind the oldest goes
  first. So a piece waits for those that were added to its kind before it and, for each of these and itself, for a piece
  of both other kinds: with ``n`` before it for at most ``3 * (n + 1) - 1`` pieces, however much is added behind it.
* A cohort that everybody has left is passed over.

Time is told, in seconds of any clock that never runs backwards, and only to say how long something has waited. This
module knows neither clients nor the log.
"""

from collections import deque
from collections.abc import Iterator, Sized
from enum import Enum, unique
from typing import Final, Generic, NamedTuple, TypeVar


@unique
class Kind(Enum):
    """A kind of work; its value is its name in the metrics."""

    HEAD = "head"
    """Cohorts that had been sent everything when a record came."""
    NEWCOMERS = "newcomers"
    """Cohorts that are sent something for the first time since they came, or since a gap in the feed."""
    LAGGARDS = "laggards"
    """Cohorts that are to be sent more than one write."""
    CLOSINGS = "closings"
    """Clients whose sessions are to be ended now."""


_IN_TURN: Final = (Kind.NEWCOMERS, Kind.LAGGARDS, Kind.CLOSINGS)

T = TypeVar("T")
G = TypeVar("G", bound=Sized)


class Queue(Generic[T]):
    """Work of one kind, in the order in which it was added."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[T, float]] = deque()
        self.added = 0
        """How many were ever added."""

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[T]:
        return (each for each, _ in self._waiting)

    @property
    def taken(self) -> int:
        """How many of these wait no more: so many as the first of them, since nobody overtakes."""
        return self.added - len(self._waiting)

    @property
    def first(self) -> T:
        """The one that is taken next."""
        return self._waiting[0][0]

    @property
    def since(self) -> float | None:
        """Since when the first has waited."""
        return self._waiting[0][1] if self._waiting else None

    def add(self, each: T, now: float) -> None:
        """Add one at the end."""
        self._waiting.append((each, now))
        self.added += 1

    def take(self) -> T:
        """Take the first."""
        return self._waiting.popleft()[0]

    def clear(self) -> None:
        """Forget all that wait."""
        self._waiting.clear()


class Wait(NamedTuple):
    """What waits of one kind."""

    clients: int
    oldest: float
    """For how many seconds the first has waited; 0 when none does."""


class Agenda(Generic[G, T]):
    """All that waits to be done: for groups of clients that are sent the same (``G``), or for one client (``T``)."""

    def __init__(self) -> None:
        self.head: Queue[G] = Queue()
        self.newcomers: Queue[G] = Queue()
        self.laggards: Queue[G] = Queue()
        self.closings: Queue[T] = Queue()
        self._next = 0

    def is_live(self) -> bool:
        """Tell whether somebody at the head waits."""
        return _pass_over_empty(self.head)

    def turn(self) -> Kind | None:
        """Name the kind whose turn it is behind the head, and of which the first is to be taken; None if none waits."""
        waits = {
            Kind.NEWCOMERS: _pass_over_empty(self.newcomers),
            Kind.LAGGARDS: _pass_over_empty(self.laggards),
            Kind.CLOSINGS: bool(self.closings),
        }
        for _ in _IN_TURN:
            kind = _IN_TURN[self._next]
            self._next = (self._next + 1) % len(_IN_TURN)
            if waits[kind]:
                return kind
        return None

    def clear_groups(self) -> None:
        """Forget all groups; closings stay."""
        for queue in (self.head, self.newcomers, self.laggards):
            queue.clear()

    def waits(self, now: float) -> dict[Kind, Wait]:
        """Say how many clients wait, and for how long, by kind."""
        groups = {Kind.HEAD: self.head, Kind.NEWCOMERS: self.newcomers, Kind.LAGGARDS: self.laggards}
        waits = {kind: Wait(sum(map(len, queue)), _age(queue, now)) for kind, queue in groups.items()}
        return {**waits, Kind.CLOSINGS: Wait(len(self.closings), _age(self.closings, now))}


def _pass_over_empty(queue: Queue[G]) -> bool:
    """Take out groups that everybody has left, up to the first that has somebody; tell whether there is one."""
    while queue:
        if len(queue.first):
            return True
        queue.take()
    return False


def _age(queue: Queue[T], now: float) -> float:
    return 0.0 if queue.since is None else max(0.0, now - queue.since)
