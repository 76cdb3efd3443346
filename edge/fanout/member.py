"""A client as the hub keeps it: its session, its link, and what the hub has to know of it besides."""

import math
from dataclasses import dataclass
from typing import Final, Protocol

from edge.access.grant import Grant
from edge.fanout.deadlines import Entry
from edge.fanout.ending import End
from edge.fanout.expiry import Expiry
from edge.fanout.link import Link
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.position import Position, Reason
from edge.feed.selection import Selection

MOST_OWED: Final = 100
"""How many messages may wait for a client that takes nothing: as many requests as it may send at once."""


@dataclass(eq=False, slots=True)
class Gap:
    """Where everybody goes on after a gap in the feed, and why."""

    position: Position
    """Final once it can be told."""
    reason: Reason
    _has_cursor: bool = False

    def can_be_told(self, log: Log) -> bool:
        """Tell whether there is a cursor to go on from: one by which a topic that is made anew later is noticed."""
        if not self._has_cursor and log.shows_what_comes:
            self.position, self._has_cursor = log.start, True
        return self._has_cursor


class Keeper(Protocol):
    """What a client needs of its hub."""

    def select(self, member: "Member", selection: Selection | None) -> str | None:
        """Have it see other posts."""
        ...

    def renew(self, member: "Member", grant: Grant, selection: Selection | None) -> bool:
        """Have it go on with another token."""
        ...

    def pause(self, member: "Member") -> None:
        """Send it nothing until :meth:`resume`."""
        ...

    def resume(self, member: "Member") -> None:
        """Go on with it."""
        ...

    def stop(self, member: "Member") -> None:
        """Send it nothing more."""
        ...

    def expect_close(self, member: "Member") -> None:
        """Look at it by its link's ``close_by``."""
        ...

    def leave(self, member: "Member") -> None:
        """Forget it."""
        ...

    def cursor_of(self, member: "Member") -> str | None:
        """Return the cursor behind all that it was sent, if there is one."""
        ...


class Member:
    """A session and its link, as the hub keeps them."""

    __slots__ = (
        "_goes_first",
        "_hub",
        "_owed",
        "end",
        "ends_at",
        "entry",
        "expiry",
        "gap",
        "is_over",
        "key",
        "link",
        "pinged",
        "session",
    )

    def __init__(self, hub: Keeper, session: Session, link: Link, gap: Gap | None, now: float) -> None:
        self._hub = hub
        self.gap = gap
        """The gap behind which it goes on, if it has come before there was one."""
        self.key = link.key
        self.session = session
        self.link = link
        self.pinged = now
        session.note_told(now)
        self.ends_at = math.inf
        """When the edge ends its session."""
        self.end = End.SHUTDOWN
        """Why, where that is not infinite."""
        self.is_over = False
        """Whether the session has ended: nothing more is sent."""
        self.expiry: Expiry | None = None
        self.entry: Entry | None = None
        # Messages to this client alone that wait; most clients never have any.
        self._owed: tuple[bytes, ...] = ()
        # Whether they go before the greeting that it is still to be sent.
        self._goes_first = False

    @property
    def told_at(self) -> float:
        """When it was last sent something; infinite for a client that gets no heartbeats."""
        session = self.session
        return session.told_at if session.encoding.has_cursor else math.inf

    @property
    def position(self) -> Position:
        """What it was sent everything before."""
        return self.session.position

    def end_at(self, when: float, end: End) -> None:
        """Have the edge end the session then, unless it does so earlier."""
        if when < self.ends_at and not self.is_over:
            self.ends_at, self.end = when, end

    def select(self, selection: Selection | None) -> str | None:
        """Have this client see other posts behind what it was sent; see :class:`edge.fanout.link.Client`."""
        return self._hub.select(self, selection)

    def renew(self, grant: Grant, selection: Selection | None) -> bool:
        """Go on with another token; see :class:`edge.fanout.link.Client`."""
        return self._hub.renew(self, grant, selection)

    def tell(self, data: bytes) -> bool:
        """Send whole messages to this client alone, behind what it was sent; False when too many wait for that.

        They wait while its transport holds unsent bytes, or until it is greeted; see :meth:`tell_owed`.
        """
        if not self.is_over:
            if len(self._owed) == MOST_OWED:
                return False
            self._owed += (data,)
            self.tell_owed()
        return True

    def tell_owed(self) -> None:
        """Send what waits, in one write, if it need not wait any more."""
        can_be_told = self.session.is_greeted or self._goes_first
        if self._owed and can_be_told and self.link.unsent_since is None and not self.is_over:
            data, self._owed, self._goes_first = b"".join(self._owed), (), False
            self.link.write(data)

    def skip(self, position: Position) -> None:
        """Have it go on alone at ``position``, behind a gap; what waits is of before that, and is sent before it."""
        self._goes_first = self._goes_first or (bool(self._owed) and self.session.is_greeted)
        self.session.skip_to(position)

    def pause_writing(self) -> None:
        """Hear that the transport holds bytes that it could not send."""
        self._hub.pause(self)

    def resume_writing(self) -> None:
        """Hear that it holds none any more."""
        self._hub.resume(self)

    def stop(self) -> None:
        """Hear that the link closes by itself."""
        self._hub.stop(self)

    def expect_close(self) -> None:
        """Hear that the link has set ``close_by``."""
        self._hub.expect_close(self)

    def leave(self) -> None:
        """Hear that the connection is lost."""
        self._hub.leave(self)

    def cursor(self) -> str | None:
        """Return the cursor behind all that was sent, if there is one."""
        return self._hub.cursor_of(self)
