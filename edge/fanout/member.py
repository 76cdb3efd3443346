"""A client as the hub keeps it: its session, its link, and what the hub has to know of it besides."""

from dataclasses import dataclass, field
from typing import Protocol

from edge.fanout.link import Link, Patience
from edge.fanout.session import DEAD, STALLED, Session
from edge.feed.position import Position, Reason
from edge.wire.closing import Disconnect
from edge.wire.encoding import Encoding


@dataclass(eq=False, slots=True)
class Gap:
    """Where everybody goes on after a gap in the feed, why, and what tells of it: once for each encoding."""

    position: Position
    reason: Reason
    cursor: str = ""
    """Empty until there is a cursor to go on from."""
    _welcomes: dict[Encoding, bytes] = field(default_factory=dict)

    def welcome(self, encoding: Encoding) -> bytes:
        """Return what tells of it."""
        if (made := self._welcomes.get(encoding)) is None:
            made = self._welcomes[encoding] = encoding.welcome(self.cursor, self.reason)
        return made


class Holds(Protocol):
    """What a client needs of its hub."""

    def hold(self, member: "Member") -> None:
        """Send it nothing until :meth:`release`."""
        ...

    def release(self, member: "Member") -> None:
        """Go on with it."""
        ...


class Member:
    """A session and its link, as the hub keeps them."""

    __slots__ = ("_hub", "gap", "key", "link", "pinged", "session")

    def __init__(self, hub: Holds, session: Session, link: Link, gap: Gap | None, now: float) -> None:
        self._hub = hub
        self.gap = gap
        """The gap behind which it goes on, if it has come before there was one."""
        self.key = link.key
        self.session = session
        self.link = link
        self.pinged = now

    def held(self) -> None:
        """Hear that the transport holds bytes that it could not send."""
        self._hub.hold(self)

    def drained(self) -> None:
        """Hear that it holds none any more."""
        self._hub.release(self)

    def look(self, now: float, patience: Patience) -> Disconnect | None:
        """Ping a client that is silent; return why it is to be cut, if it is."""
        link = self.link
        if link.unsent_since is not None:
            # Its pong would stand behind what it does not take: silence means nothing here.
            return STALLED if now - link.unsent_since > patience.stalled else None
        silent = now - link.heard
        if silent > patience.dead:
            return DEAD
        if min(silent, now - self.pinged) >= patience.ping:
            self.pinged = now
            link.ping()
        return None
