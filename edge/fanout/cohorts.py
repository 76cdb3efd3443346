"""Who is where in the log: clients at one position that are sent the same go on together, in *cohorts*.

One read of the log serves a whole cohort, each client of it costs one write, and then the cohort as a whole is
elsewhere: nothing is done about a single client, unless it cannot take what it is sent. Laws:

* Every client that was placed, and was neither paused nor removed since, is in just one cohort, which rests at the head
  or is on the :mod:`agenda <edge.fanout.agenda>`: among those at the head since there is a record, among newcomers, or
  among laggards.
* Those that rest and see everything are on the agenda as soon as there is a record; those with a filter when there is a
  post for them (:mod:`edge.fanout.resting`).
* A cohort has at most so many clients, so that serving one takes the loop for a moment only.

This module sends nothing, and knows neither links nor time.
"""

from array import array
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Any, Final, Generic, NamedTuple

from edge.fanout.agenda import Agenda, Kind
from edge.fanout.filters import Filters
from edge.fanout.parked import Parked
from edge.fanout.paused import C, Paused
from edge.fanout.resting import Posts, Rest
from edge.fanout.session import Progress
from edge.feed.position import Position
from edge.feed.reads import Reading
from edge.feed.replay import Replay

MAX_SIZE: Final = 64
"""How many clients a cohort has at most: serving them takes 0.5 ms for one post, and 2.5 ms for 64 KiB."""


class Where(NamedTuple):
    """What cohorts that wait have in common when they can be one."""

    kind: Kind
    position: Position
    reading: Reading
    greeting: bytes
    target: Position | None
    replay: Replay[Any] | None


class Cohort(Progress, Generic[C]):
    """Clients by their keys that are sent the same: ``greeting``, and what follows ``position`` as ``reading`` says."""

    __slots__ = ("_keys", "clients", "reading", "where")

    def __init__(
        self,
        position: Position,
        reading: Reading,
        greeting: bytes = b"",
        target: Position | None = None,
        replay: Replay[Any] | None = None,
    ) -> None:
        super().__init__(position, greeting, target, replay)
        self.reading = reading
        self.clients: dict[int, C] = {}
        self.where: Where | None = None
        """Where it waits; None while it is served or rests. It is for :class:`Cohorts` alone."""
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
        """Have a client go on with the others; its greeting and its target are those of all."""
        self.clients[client.key] = client
        self._keys = None
        client.session.share(self)

    def let_go(self, client: C) -> None:
        """Have it go on by itself, with the greeting and the target if it was not told yet."""
        del self.clients[client.key]
        self._keys = None
        client.session.skip_to(self.position, self.greeting, self.target, self.replay)


class Cohorts(Generic[C]):
    """All clients that go on; ``head`` is the position at which those rest that have been sent everything."""

    def __init__(self, head: Position, max_size: int = MAX_SIZE) -> None:
        self.filters = Filters()
        self.rest: Rest[Cohort[C]] = Rest(head, self.filters)
        """Those that have been sent everything."""
        self.agenda: Agenda[Cohort[C], C] = Agenda()
        """Which of those wait that do not rest."""
        self._max_size = max_size
        self._parked: Parked[Cohort[C]] = Parked()
        # The newest cohort that waits at each place.
        self._waiting: dict[Where, Cohort[C]] = {}
        self._paused: Paused[C] = Paused()

    @property
    def head(self) -> Position:
        """The place after everything that was read."""
        return self.rest.head

    @property
    def paused(self) -> AbstractSet[C]:
        """Clients that are sent nothing for now."""
        return self._paused.clients

    @property
    def waiting(self) -> int:
        """How many have not been sent all that there is."""
        agenda = self.agenda
        on_it = sum(map(len, chain(agenda.head, agenda.newcomers, agenda.laggards)))
        return self._paused.waiting(self.head) + len(self._parked) + on_it

    def begin(self, head: Position) -> None:
        """Forget everybody but the paused, and where these were; the head is here from now on."""
        self._parked.clear()
        self._waiting.clear()
        self._paused.forget_places()
        self.agenda.clear_groups()
        self.rest.begin(head)

    def advance(self, head: Position, now: float) -> bool:
        """Put clients that rest on the agenda when the head has moved; tell whether it has, and anybody may wait there.

        Those with an indexed filter follow when they were found (:meth:`match`).
        """
        if head == self.head:
            return False
        for cohort in self.rest.advance(head):
            self.agenda.head.add(cohort, now)
        return self.agenda.is_live() or self.rest.is_matching

    def match(self, posts: Posts, is_late: Callable[[], bool], now: float) -> bool:
        """Put clients on the agenda for which there are posts until it is late; tell whether any had to be matched."""
        if not self.rest.is_matching:
            return False
        for cohort in self.rest.match(posts, is_late):
            self.agenda.head.add(cohort, now)
        return True

    def place(self, client: C, kind: Kind, now: float) -> None:
        """Have a client rest when it has been sent everything, and else wait as one of a kind."""
        self._paused.discard(client)
        session = client.session
        progress = session.progress
        alone: Cohort[C] = Cohort(
            progress.position, session.reading, progress.greeting, progress.target, progress.replay
        )
        alone.take_in(client)
        self._put(alone, kind, now)

    def wake(self, replay: Replay[Any]) -> None:
        """Note that a replay has moved: those that rest at its head are on the agenda after some :meth:`go_on`."""
        self._parked.wake(replay)

    def go_on(self, now: float) -> bool:
        """Put a few on the agenda that have rested at the head of a replay; tell whether there were any."""
        some = self._parked.take()
        for cohort in some:
            self.put_back(cohort, now)
        return bool(some)

    def put_back(self, cohort: Cohort[C], now: float) -> None:
        """Have a cohort that was served rest, or wait as a laggard."""
        if cohort:
            self._put(cohort, Kind.LAGGARDS, now)

    def _put(self, cohort: Cohort[C], kind: Kind, now: float) -> None:
        """Join a cohort with another at the same place that has room for all of it, or else put it there."""
        if cohort.replay is None and cohort.position == self.head and not cohort.greeting:
            there = self.rest.last(cohort.reading, cohort.position)
            if there is None or not self._is_joined(cohort, there):
                self.rest.add(cohort)
            return
        if cohort.replay is not None and cohort.position >= cohort.replay.log.head and not cohort.greeting:
            newest = self._parked.newest(cohort.replay)
            if newest is None or not _are_sent_the_same(cohort, newest) or not self._is_joined(cohort, newest):
                self._parked.add(cohort, cohort.replay)
            return
        where = Where(kind, cohort.position, cohort.reading, cohort.greeting, cohort.target, cohort.replay)
        there = self._waiting.get(where)
        if there is None or not self._is_joined(cohort, there):
            self._waiting[where], cohort.where = cohort, where
            queue = self.agenda.newcomers if kind is Kind.NEWCOMERS else self.agenda.laggards
            queue.add(cohort, now)

    def _is_joined(self, cohort: Cohort[C], there: Cohort[C]) -> bool:
        if len(there) + len(cohort) > self._max_size:
            return False
        for client in cohort.clients.values():
            there.take_in(client)
        return True

    def take(self, kind: Kind) -> Cohort[C]:
        """Take out the first cohort of a kind; it is :meth:`put_back` once it was served."""
        agenda = self.agenda
        if kind is Kind.HEAD:
            return agenda.head.take()
        cohort = (agenda.newcomers if kind is Kind.NEWCOMERS else agenda.laggards).take()
        self._close_to_others(cohort)
        return cohort

    def _close_to_others(self, cohort: Cohort[C]) -> None:
        """Join nobody with a cohort that does not wait any more, or that the agenda passes over."""
        where, cohort.where = cohort.where, None
        if where is not None and self._waiting.get(where) is cohort:
            del self._waiting[where]

    def pause(self, client: C) -> None:
        """Keep a client apart until it is placed again, or, if it is paused already, where it is now."""
        self.remove(client)
        self._paused.add(client)

    def fallen_behind(self, tail: Position, limit: int) -> list[C]:
        """Name some that are paused before the tail, each once; nobody else is looked at."""
        return self._paused.before(tail, limit)

    def remove(self, client: C) -> None:
        """Forget a client, wherever it is."""
        self._paused.discard(client)
        cohort = client.session.progress
        if isinstance(cohort, Cohort):
            cohort.let_go(client)
            if not cohort:
                self._close_to_others(cohort)
                self.rest.forget(cohort)
                self._parked.forget(cohort)


def _are_sent_the_same(one: Cohort[C], other: Cohort[C]) -> bool:
    """Tell whether two cohorts at one place are; those who came at different times catch up at different places."""
    return one.reading == other.reading and one.target == other.target
