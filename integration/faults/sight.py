"""What a client knows, whatever it came by: where it is in the feed, and what it has seen of it.

A client whose place an edge keeps, by a device's name, begins a new life whenever it comes back: it brings nothing, and
may be sent again what it has seen and has not acknowledged. What was acknowledged does not come again.

Laws: a client's place is what it was told last. What it is told between two beginnings is one stretch; it has begun
when it is told so. It is absent from when it was cut off, or left, until it begins again.

This module knows no transport and no clock.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from integration.faults.authors import seen_of
from integration.faults.observations import Arrival, Begins, Span, Stretch, View


class Breach(AssertionError):
    """The product did not keep to its protocol; the text is about what it said."""


class Opened(NamedTuple):
    """It is connected, and is not told where it stands."""


class Welcomed(NamedTuple):
    """It was told where it stands, and whether it has missed anything."""

    cursor: str
    is_recovered: bool


class Shown(NamedTuple):
    """It was sent a post; without a cursor when it is a client that has none."""

    post: int
    cursor: str | None = None


class Moved(NamedTuple):
    """It was told a place, and no post with it."""

    cursor: str


class Filtered(NamedTuple):
    """It is sent other authors' posts from a place on."""

    authors: frozenset[int]
    cursor: str


class Lost(NamedTuple):
    """It is connected no longer, and comes back by itself."""


class Reborn(NamedTuple):
    """It knows nothing of before, and an edge is to know where it was."""


class Acknowledged(NamedTuple):
    """An edge has said that it keeps this as the client's place."""

    cursor: str


Told = Opened | Welcomed | Shown | Moved | Filtered | Lost | Reborn | Acknowledged
"""What a transport makes of what it receives."""


@dataclass
class Sight:
    """One client. ``left`` is when it was last there, in seconds: in the beginning, when it was made.

    ``authors`` are those whose posts it asks for, ``allowed`` those whose posts its token allows; None for everybody's.
    """

    view: View
    left: float
    authors: frozenset[int] | None = None
    allowed: frozenset[int] | None = None
    is_there: bool = False
    """Whether it is connected and knows that it is."""
    cursor: str | None = None
    seen: set[int] = field(default_factory=set)
    is_kept: bool = False
    """Whether an edge keeps its place."""
    is_relied_on: bool = False
    """Whether an edge has said in this life that it keeps a place behind a post that the client has seen."""
    returns: list[Span] = field(default_factory=list)
    """From when to when it was away before each life in which something of what it has seen must not come again."""
    _loose: dict[int, str] = field(default_factory=dict)
    """The posts that it has seen and that are not acknowledged, each with its cursor."""
    _again: frozenset[int] | None = None
    _has_relied: bool = False
    _reborn_at: float | None = None

    @property
    def wanted(self) -> frozenset[int] | None:
        """Whose posts it is to see now."""
        return seen_of(self.allowed, self.authors)

    def take(self, told: Told, at: float) -> None:
        """Take what it was told; raises :class:`Breach`."""
        match told:
            case Opened():
                self._begin("anew" if self.view.stretches else "first", at)
            case Welcomed(cursor, is_recovered):
                self._begin(self._welcomed(is_recovered=is_recovered), at)
                self.cursor = cursor
            case Shown(post, cursor):
                if not self.is_there:
                    raise Breach(f"post {post} came before a welcome")
                self.view.stretches[-1].arrivals.append(Arrival(post, at))
                self.seen.add(post)
                self.cursor = cursor
                if cursor is not None:
                    self._loose[post] = cursor
            case Filtered(authors, cursor):
                self.authors = authors
                self._begin("resumed", at)
                self.cursor = cursor
            case Moved(cursor):
                self.cursor = cursor
            case Lost():
                self.leave(at)
            case Reborn() | Acknowledged():
                self._take_of_keeping(told, at)

    def _take_of_keeping(self, told: Reborn | Acknowledged, at: float) -> None:
        match told:
            case Reborn():
                self._again = frozenset(self._loose)
                self._reborn_at, self.is_relied_on = at, False
            case Acknowledged(cursor):
                self.is_kept = True
                loose = {post: its for post, its in self._loose.items() if its > cursor}
                if len(loose) < len(self._loose):
                    self.is_relied_on = self._has_relied = True
                self._loose = loose

    def leave(self, at: float) -> None:
        """Note that it is connected no longer; nothing new where it was not."""
        if self.is_there:
            self.is_there = False
            self.left = at

    def _welcomed(self, *, is_recovered: bool) -> Begins:
        if not is_recovered:
            return "gap"
        return "resumed" if self.view.stretches else "first"

    def _begin(self, begins: Begins, at: float) -> None:
        if not self.is_there and self.view.stretches:
            self.view.absences.append(Span(self.left, at))
            if self._has_relied and self._reborn_at is not None:
                self.returns.append(Span(self.left, self._reborn_at))
        self._reborn_at = None
        self.view.stretches.append(
            Stretch(begins, authors=self.wanted, allowed=self.allowed, again=self._again, begun=at)
        )
        self._again = None
        self.is_there = True
