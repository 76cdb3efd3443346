"""When a client needs attention: a ping, a heartbeat, its token's end or its session's, or the end of its connection.

Laws:

* A watched client has one entry, never later than its earliest deadline.
* What a client says, and what it is sent, moves its deadlines and not its entry: there is no work for a message. When
  the entry comes up the client is looked at, and gets an entry at its earliest deadline as of then.
* A deadline that is nearer than the entry makes a new entry, and the old one is gone at once, as that of a client that
  leaves: nothing is kept of it.
* Deadlines are rounded up to ``GRAIN_SECONDS``, and clients that are due in the same grain share one element of the
  heap: the heap is at most as long as the longest patience has grains.

Time is told, in seconds of any clock that never runs backwards. This module knows neither clients nor links but by what
they say of themselves.
"""

import math
from dataclasses import dataclass
from enum import Enum, auto, unique
from heapq import heappop, heappush
from typing import Final, Generic, Protocol, TypeVar

from edge.fanout.expiry import Expiry

GRAIN_SECONDS: Final = 0.05
"""How much later than its deadline a client may be looked at: a twentieth of the shortest of them."""
_JITTER: Final = 0.1
_ENDS_A_SECOND: Final = 200.0
"""Few enough clients for any edge to take in."""


@dataclass(frozen=True, slots=True)
class Patience:
    """After how many seconds of silence a client is pinged, or dead; how long it may take nothing, and be."""

    ping: float
    dead: float
    stalled: float
    age: float = math.inf
    heartbeat: float = 25
    """After how many seconds without a message a client with cursors is sent a heartbeat."""

    def lifetime(self, share: float) -> float:
        """Return how old a connection may be: ``age``, a tenth less for the share 0 and a tenth more for 1.

        So clients that came at once do not leave at once.
        """
        return self.age * (1 + _JITTER * (2 * share - 1))


class Pace:
    """When clients are ended of which all have to be, one after the other, and the last of them after so many seconds.

    They come back, elsewhere, and would all come at once. A few clients are through earlier.
    """

    def __init__(self, now: float, clients: int, seconds: float) -> None:
        self._next = now
        self._apart = min(1 / _ENDS_A_SECOND, seconds / max(1, clients))

    def next(self) -> float:
        """Return when the next client is ended."""
        self._next += self._apart
        return self._next


class Link(Protocol):
    """What a connection says of itself; see :class:`edge.fanout.link.Link`."""

    heard: float
    unsent_since: float | None
    close_by: float | None


class Entered(Protocol):
    """A client that is watched."""

    entry: "Entry | None"
    """Where it is watched; it is for :class:`Deadlines` alone."""


class Watched(Entered, Protocol):
    """A client that has deadlines."""

    pinged: float
    """When it was last pinged, or has come."""

    @property
    def told_at(self) -> float:
        """When it was last sent a message, or has come; infinite when it gets no heartbeats."""
        ...

    ends_at: float
    """When its session is to be ended; infinite when that is not to be, or it has ended."""
    expiry: Expiry | None
    """When its token warns and ends; None for most clients."""

    @property
    def link(self) -> Link:
        """Its connection."""
        ...


@unique
class Due(Enum):
    """What is to be done about a client."""

    PING = auto()
    HEARTBEAT = auto()
    """It has been sent no message for long."""
    EXPIRING = auto()
    """It is to be told that its token expires."""
    END = auto()
    """Its session is to be ended."""
    EXPIRED = auto()
    """Its session is to be ended, and it is to be sent nothing more: its token has run out."""
    DEAD = auto()
    """Its connection is to be cut: it is silent, or has not answered a close in time."""
    STALLED = auto()
    """Its connection is to be cut: it takes nothing."""


def due(client: Watched, now: float, patience: Patience) -> Due | None:
    """Say what is to be done about a client now."""
    link = client.link
    if link.unsent_since is not None:
        # Its pong would stand behind what it does not take: silence means nothing here.
        if now >= link.unsent_since + patience.stalled:
            return Due.STALLED
    elif link.close_by is not None:
        return Due.DEAD if now >= link.close_by else None
    elif now >= link.heard + patience.dead:
        return Due.DEAD
    if client.expiry is not None and now >= client.expiry.ends_at:
        return Due.EXPIRED
    if now >= client.ends_at:
        return Due.END
    return None if link.unsent_since is not None else _message_due(client, now, patience)


def _message_due(client: Watched, now: float, patience: Patience) -> Due | None:
    if client.expiry is not None and now >= client.expiry.warns_at:
        return Due.EXPIRING
    if now >= client.told_at + patience.heartbeat:
        return Due.HEARTBEAT
    return Due.PING if now >= max(client.link.heard, client.pinged) + patience.ping else None


def deadline(client: Watched, patience: Patience) -> float:
    """Return the earliest instant at which something may be :func:`due`, as things are."""
    link = client.link
    if link.unsent_since is not None:
        first = link.unsent_since + patience.stalled
    elif link.close_by is not None:
        return link.close_by
    else:
        first = min(
            max(link.heard, client.pinged) + patience.ping,
            link.heard + patience.dead,
            client.told_at + patience.heartbeat,
        )
        if client.expiry is not None:
            first = min(first, client.expiry.warns_at)
    if client.expiry is not None:
        first = min(first, client.expiry.ends_at)
    return min(first, client.ends_at)


C = TypeVar("C", bound=Entered)


class Entry:
    """An instant at which clients are looked at; one object for all of them."""

    __slots__ = ("grain",)

    def __init__(self, grain: int) -> None:
        self.grain = grain


class _Grain(Entry, Generic[C]):
    """A grain, and the clients that are watched there."""

    __slots__ = ("clients",)

    def __init__(self, grain: int) -> None:
        super().__init__(grain)
        self.clients: dict[C, None] = {}


class Deadlines(Generic[C]):
    """The clients that are watched, by when each is looked at next."""

    def __init__(self) -> None:
        self._heap: list[int] = []
        self._grains: dict[int, _Grain[C]] = {}

    def __len__(self) -> int:
        """Return the number of clients that are watched."""
        return sum(len(grain.clients) for grain in self._grains.values())

    @property
    def next(self) -> float | None:
        """When to :meth:`take` next; None when nobody is watched."""
        return self._heap[0] * GRAIN_SECONDS if self._heap else None

    def watch(self, client: C, when: float) -> None:
        """See to it that a client is looked at by ``when``; an entry that comes up earlier is enough."""
        number = math.ceil(when / GRAIN_SECONDS)
        if client.entry is not None:
            if client.entry.grain <= number:
                return
            self.forget(client)
        grain = self._grains.get(number)
        if grain is None:
            grain = self._grains[number] = _Grain(number)
            heappush(self._heap, number)
        grain.clients[client] = None
        client.entry = grain

    def forget(self, client: C) -> None:
        """Watch a client no longer."""
        if client.entry is not None:
            del self._grains[client.entry.grain].clients[client]
            client.entry = None

    def take(self, now: float, limit: int) -> list[C]:
        """Take out clients whose entries have come up, ``limit`` of them at most; each needs a new one."""
        taken: list[C] = []
        while self._heap and self._heap[0] * GRAIN_SECONDS <= now:
            clients = self._grains[self._heap[0]].clients
            while clients:
                if len(taken) == limit:
                    return taken
                client, _ = clients.popitem()
                client.entry = None
                taken.append(client)
            del self._grains[heappop(self._heap)]
        return taken
