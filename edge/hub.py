"""Who is at the head and who lags: one write each when a record arrives.

Laws: fan-out never awaits. Nobody has a queue or a task of its own. Clients that are at the same
position, in the same form, are a *cohort*: one read of the log serves all of it, and each client
costs one write. Those at the head rest there until a record comes; then they stand in line as a
whole. Those that lag come after them, each of their cohorts once before any of them twice, with
at most ``write_bytes`` a turn. While its transport holds unsent bytes a client is in no cohort;
it comes back when they are gone. After ``SLICE_SECONDS`` of work the loop gets a turn.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final, NamedTuple, Protocol

from edge.cursors import Position, Reason
from edge.frames import Form
from edge.log import Log
from edge.session import Disconnect, Session

# Some 800 small writes: long enough that going round the loop costs nothing beside them, short
# beside the time that a post takes from a window's end to a client anyway.
SLICE_SECONDS: Final = 0.005
# Asking for the time takes a fiftieth of a write: after so many it shows no more.
_WRITES_A_LOOK: Final = 8


class Link(Protocol):
    """What the hub needs of a connection; times are by the loop's clock."""

    heard: float
    unsent_since: float | None

    def tell(self, client: "Member") -> None:
        """Have this client told when unsent bytes are held, and when they are gone."""
        ...

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

    __slots__ = ("_hub", "link", "pinged", "session")

    def __init__(self, hub: "Hub", session: Session, link: Link, now: float) -> None:
        self._hub = hub
        self.session = session
        self.link = link
        self.pinged = now

    def held(self) -> None:
        """Hear that the transport holds bytes that it could not send."""
        self._hub.hold(self)

    def drained(self) -> None:
        """Hear that it holds none any more."""
        self._hub.release(self)


class _Cohort(NamedTuple):
    position: Position
    form: Form
    members: set[Member]


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
        # Each client that has not ended is in just one of these.
        self._resting: defaultdict[Form, set[Member]] = defaultdict(set)
        self._line: deque[_Cohort] = deque()
        self._lagging: dict[tuple[Position, Form], set[Member]] = {}
        self._greeted: dict[Member, None] = {}
        self._held: set[Member] = set()
        self._head = log.head
        """Where those rest that are at the head: the log's own, but for the moment between a record and its turn."""
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
        waiting = chain((cohort.members for cohort in self._line), self._lagging.values(), (self._greeted,))
        held = sum(1 for member in self._held if member.session.position < self._head)
        return held + sum(len(members) for members in waiting)

    def join(self, session: Session, link: Link) -> Member:
        """Take a client in; it is sent what is ready for it at once."""
        member = Member(self, session, link, self._clock())
        link.tell(member)
        self._members.add(member)
        self.deserted.clear()
        self._advance()
        if link.unsent_since is None:
            self._admit(member)
            self._go_round()
        else:
            self._held.add(member)
        return member

    def leave(self, member: Member, code: int) -> Disconnect:
        """Forget a client whose connection has ended, with ``code`` unless the end was ours; return how it ended."""
        self._members.discard(member)
        self._withdraw(member)
        member.session.end(Disconnect(code, "the connection ended"))
        disconnect = member.session.disconnect
        assert disconnect is not None  # noqa: S101 - it was ended in the line before; told to the type checker
        self.closes[disconnect.code] += 1
        if not self._members:
            self.deserted.set()
        return disconnect

    def dismiss(self, member: Member, disconnect: Disconnect) -> None:
        """End a session whose connection somebody else closes: it is sent nothing more."""
        member.session.end(disconnect)
        self._withdraw(member)

    def publish(self) -> None:
        """Send what the log has got; end those that it has moved past."""
        for member in [held for held in self._held if not held.session.keeps_up(self._log)]:
            self._close(member)
        self._go_round()

    def hold(self, member: Member) -> None:
        """Send a client nothing until :meth:`release`."""
        self._withdraw(member)
        if member.session.disconnect is None:
            self._held.add(member)

    def release(self, member: Member) -> None:
        """Go on with a client whose unsent bytes are gone."""
        if member in self._held:
            self._held.remove(member)
            self._admit(member)
            # Not at once: the transport calls this in the middle of its own work.
            self._go_round_soon()

    def interrupt(self, reason: Reason) -> None:
        """Tell everybody of a gap in the feed: the log has begun anew."""
        for places in (self._resting, self._line, self._lagging, self._greeted):
            places.clear()
        self._head = self._log.head
        for member in self._members:
            member.session.miss(self._log, reason)
            if member.session.disconnect is not None:
                self._close(member)
            elif member not in self._held:
                self._admit(member)
        self._go_round()

    def end(self, disconnect: Disconnect, *, but: int = 0) -> None:
        """End the sessions of all ``but`` so many clients."""
        going_on = [member for member in self._members if member.session.disconnect is None]
        for member in islice(going_on, max(0, len(going_on) - but)):
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

    def _advance(self) -> None:
        """Have those who were at the head stand in line when the head has moved."""
        if self._log.head != self._head:
            self._line.extend(_Cohort(self._head, form, members) for form, members in self._resting.items() if members)
            self._resting.clear()
            self._head = self._log.head

    def _admit(self, member: Member) -> None:
        """Give a client its place, by its session alone."""
        if member.session.is_greeted:
            self._greeted[member] = None
        else:
            self._cohort(member.session.position, member.session.form).add(member)

    def _cohort(self, position: Position, form: Form) -> set[Member]:
        if position == self._head:
            return self._resting[form]
        return self._lagging.setdefault((position, form), set())

    def _withdraw(self, member: Member) -> None:
        """Take a client's place from it, whichever it is."""
        session = member.session
        self._held.discard(member)
        self._greeted.pop(member, None)
        for members in (
            self._resting[session.form],
            self._lagging.get((session.position, session.form), set()),
            *(cohort.members for cohort in self._line),
        ):
            members.discard(member)

    def _close(self, member: Member) -> None:
        self._withdraw(member)
        if member.session.disconnect is not None:
            member.link.close(member.session.disconnect)

    def _go_round(self) -> None:
        if not self._is_turn_due:
            self._round()

    def _go_round_soon(self) -> None:
        if not self._is_turn_due:
            self._is_turn_due = True
            self._soon(self._round)

    def _round(self) -> None:
        self._is_turn_due = False
        self._advance()
        deadline = self._clock() + SLICE_SECONDS
        while self._greeted or self._line or self._lagging:
            if self._greeted:
                self._greet(self._greeted.popitem()[0])
            elif self._line:
                cohort = self._line.popleft()
                self._serve(cohort, deadline)
                if cohort.members:
                    self._line.appendleft(cohort)
            else:
                key = next(iter(self._lagging))
                cohort = _Cohort(*key, self._lagging.pop(key))
                self._serve(cohort, deadline)
                if cohort.members:
                    self._lagging.setdefault(key, set()).update(cohort.members)
            if self._clock() > deadline:
                self._go_round_soon()
                return

    def _greet(self, member: Member) -> None:
        session = member.session
        before = session.position
        data = session.take(self._log, self._write_bytes)
        if not data:
            self._close(member)
            return
        self._count(1, session.position - before, len(data))
        self._admit(member)
        member.link.write(data)

    def _serve(self, cohort: _Cohort, deadline: float) -> None:
        """Send a cohort what follows its position; those that are left in it come later."""
        position, form, members = cohort
        if position < self._log.tail:
            while members:
                member = members.pop()
                member.session.keeps_up(self._log)
                self._close(member)
            return
        data, after = self._log.read(position, form, self._write_bytes)
        served = self._cohort(after, form)
        clock = self._clock
        size = len(members)
        while members:
            for _ in range(min(len(members), _WRITES_A_LOOK)):
                member = members.pop()
                member.session.position = after
                # Before the write: what it cannot send takes it out again.
                served.add(member)
                member.link.write(data)
            if clock() > deadline:
                break
        self._count(size - len(members), after - position, len(data))

    def _count(self, clients: int, posts: int, size: int) -> None:
        self.posts_sent += clients * posts
        self.bytes_sent += clients * size
