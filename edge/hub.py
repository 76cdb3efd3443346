"""Who is at the head and who lags: one write each when a record arrives.

Laws: fan-out never awaits. Nobody has a queue or a task of its own; the hub has one line of those
who can be sent something right now, each in it once, and goes round it: a client gets one write,
of at most ``write_bytes``, and takes its place at the end of the line again if more is ready.
While its transport holds unsent bytes a client is not in the line; it comes back when they are
gone. After ``SLICE_SECONDS`` of work the loop gets a turn.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from edge.cursors import Reason
from edge.log import Log
from edge.session import Disconnect, Session

# Some 400 small writes: long enough that going round the loop costs nothing beside them, short
# beside the time that a post takes from a window's end to a client anyway.
SLICE_SECONDS: Final = 0.005


class Link(Protocol):
    """What the hub needs of a connection; times are by the loop's clock."""

    heard: float
    unsent_since: float | None

    def write(self, frames: bytes) -> None:
        """Send whole frames."""
        ...

    def ping(self) -> None:
        """Ask for a sign of life."""
        ...

    def close(self, disconnect: Disconnect) -> None:
        """Close after what was begun; once is enough."""
        ...

    def abort(self) -> None:
        """Cut the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """After how many seconds of silence a peer is pinged, or taken for dead; how long it may take nothing."""

    ping: float
    dead: float
    stalled: float


class Member:
    """A session and its link, as the hub keeps them."""

    __slots__ = ("in_line", "link", "pinged", "session")

    def __init__(self, session: Session, link: Link, now: float) -> None:
        self.session = session
        self.link = link
        self.in_line = False
        self.pinged = now


class Hub:
    """All clients of this process. Every method is synchronous, and called on the loop's thread.

    ``clock`` and ``soon`` are the loop's ``time`` and ``call_soon``.
    """

    def __init__(
        self, log: Log, *, write_bytes: int, clock: Callable[[], float], soon: Callable[[Callable[[], None]], object]
    ) -> None:
        self._log = log
        self._write_bytes = write_bytes
        self._clock = clock
        self._soon = soon
        self._members: set[Member] = set()
        self._line: deque[Member] = deque()
        self._is_turn_due = False
        self.posts_sent = 0
        self.bytes_sent = 0
        self.closes: Counter[int] = Counter()
        self.deserted = asyncio.Event()
        """Set while there is no client."""
        self.deserted.set()

    def __len__(self) -> int:
        return len(self._members)

    @property
    def lagging(self) -> int:
        """How many have not been sent all that there is."""
        return sum(1 for member in self._members if member.session.is_waiting(self._log))

    def join(self, session: Session, link: Link) -> Member:
        """Take a client in; it is sent what is ready for it at once."""
        member = Member(session, link, self._clock())
        self._members.add(member)
        self.deserted.clear()
        self._admit(member)
        self._go_round()
        return member

    def leave(self, member: Member, code: int) -> Disconnect:
        """Forget a client whose connection has ended, with ``code`` unless the end was ours; return how it ended."""
        self._members.discard(member)
        member.session.end(Disconnect(code, "the connection ended"))
        disconnect = member.session.disconnect
        assert disconnect is not None  # noqa: S101 - it was ended in the line before; told to the type checker
        self.closes[disconnect.code] += 1
        if not self._members:
            self.deserted.set()
        return disconnect

    def publish(self) -> None:
        """Send what the log has got; end those that it has moved past."""
        for member in self._members:
            if member.session.keeps_up(self._log):
                self._admit(member)
            else:
                self._close(member)
        self._go_round()

    def drained(self, member: Member) -> None:
        """Go on with a client whose unsent bytes are gone."""
        self._admit(member)
        # Not at once: the transport calls this in the middle of its own work.
        self._go_round_soon()

    def interrupt(self, reason: Reason) -> None:
        """Tell everybody of a gap in the feed: the log has begun anew."""
        for member in self._members:
            member.session.miss(self._log, reason)
            self._admit(member)
            self._close(member)
        self._go_round()

    def end(self, disconnect: Disconnect) -> None:
        """End every session."""
        for member in self._members:
            member.session.end(disconnect)
            self._close(member)

    def sweep(self, patience: Patience) -> None:
        """Ping the silent, cut off the dead and those that take nothing."""
        now = self._clock()
        for member in self._members:
            link = member.link
            silent = now - link.heard
            if link.unsent_since is not None:
                # Its pong would stand behind what it does not take: silence means nothing here.
                if now - link.unsent_since > patience.stalled:
                    link.abort()
            elif silent > patience.dead:
                link.abort()
            elif min(silent, now - member.pinged) >= patience.ping:
                member.pinged = now
                link.ping()

    def _admit(self, member: Member) -> None:
        if not member.in_line and member.link.unsent_since is None and member.session.is_waiting(self._log):
            member.in_line = True
            self._line.append(member)

    def _close(self, member: Member) -> None:
        if member.session.disconnect is not None:
            member.link.close(member.session.disconnect)

    def _go_round(self) -> None:
        if not self._is_turn_due:
            self._round()

    def _go_round_soon(self) -> None:
        if self._line and not self._is_turn_due:
            self._is_turn_due = True
            self._soon(self._round)

    def _round(self) -> None:
        self._is_turn_due = False
        clock, line = self._clock, self._line
        deadline = clock() + SLICE_SECONDS
        while line:
            self._send(line.popleft())
            if clock() > deadline:
                self._go_round_soon()
                return

    def _send(self, member: Member) -> None:
        member.in_line = False
        session, link = member.session, member.link
        sent = session.sent
        data = session.take(self._log, self._write_bytes)
        if not data:
            self._close(member)
            return
        link.write(data)
        self.bytes_sent += len(data)
        self.posts_sent += session.sent - sent
        if session.position < self._log.head:
            self._admit(member)
