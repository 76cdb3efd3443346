"""Who is at the head and who lags: one write each when a record arrives.

Laws: fan-out never awaits, and nobody has a queue or a task of its own. Whose turn it is the cohorts
say (:mod:`edge.fanout.cohorts`); a client is sent at most ``write_bytes`` a turn, in one write. While its
transport holds unsent bytes it is held. After ``SLICE_SECONDS`` of work the loop gets a turn.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Final

from edge.fanout.cohorts import MOST, Cohort, Cohorts
from edge.fanout.delays import Delays
from edge.fanout.link import Link, Patience, WriteEach
from edge.fanout.member import Gap, Member
from edge.fanout.partings import Partings
from edge.fanout.session import INTERRUPTED, SHUTDOWN, Session
from edge.feed.log import Log
from edge.feed.position import Reason
from edge.wire.closing import By, Disconnect

# Some 800 small writes: long enough that going round the loop costs nothing beside them, short
# beside the time that a post takes from a window's end to a client anyway.
SLICE_SECONDS: Final = 0.005


class Hub:
    """All clients of this process. Every method is synchronous, and called on the loop's thread.

    ``clock`` and ``soon`` are the loop's ``time`` and ``call_soon``; ``together`` is how many clients are served before
    a look at the clock, at most.
    """

    def __init__(
        self,
        log: Log,
        *,
        write_bytes: int,
        write_each: WriteEach,
        clock: Callable[[], float],
        soon: Callable[[Callable[[], None]], object],
        together: int = MOST,
    ) -> None:
        self._log = log
        self._write_bytes = write_bytes
        self._write_each = write_each
        self._clock = clock
        self._soon = soon
        self._members: set[Member] = set()
        self._cohorts: Cohorts[Member] = Cohorts(log.head, together)
        self._unswept: list[Member] = []
        self._gap: Gap | None = None
        self._before_gap: list[Member] = []
        self._partings: Partings[Member] = Partings()
        self._is_turn_due = False
        self.delays = Delays()
        self.posts_sent = 0
        self.bytes_sent = 0
        self.closes: Counter[tuple[By, str]] = Counter()
        """Connections that ended, by whose doing it was and the label of its code."""
        self.deserted = asyncio.Event()
        """Set while there is no client."""
        self.deserted.set()

    def __len__(self) -> int:
        return len(self._members)

    @property
    def lagging(self) -> int:
        """How many have not been sent all that there is."""
        return self._cohorts.waiting + len(self._before_gap)

    def join(self, session: Session, link: Link) -> Member:
        """Take a client in; it is sent what is ready for it at once."""
        member = Member(self, session, link, self._gap, self._clock())
        link.tell(member)
        self._members.add(member)
        self.deserted.clear()
        self._cohorts.advance(self._log.head)
        if link.unsent_since is None:
            self._cohorts.place(member)
            self._go_round()
        else:
            self._cohorts.hold(member)
        return member

    def leave(self, member: Member, otherwise: Disconnect) -> Disconnect:
        """Forget a client whose connection is lost; return how its session ended, ``otherwise`` if that is why."""
        self._members.discard(member)
        self._cohorts.remove(member)
        member.session.end(otherwise)
        disconnect = member.session.disconnect
        assert disconnect is not None  # noqa: S101 - it was ended in the line before; told to the type checker
        self.closes[disconnect.by, disconnect.label] += 1
        if not self._members:
            self.deserted.set()
        return disconnect

    def dismiss(self, member: Member, disconnect: Disconnect) -> None:
        """End a session whose connection somebody else closes: it is sent nothing more."""
        member.session.end(disconnect)
        self._cohorts.remove(member)

    def publish(self, read_at: float | None = None) -> None:
        """Send what the log has got, and was read just now or at ``read_at``; end those that it has moved past."""
        for member in self._cohorts.fallen_behind(self._log.tail):
            member.session.keeps_up(self._log)
            self._close(member)
        if self._cohorts.advance(self._log.head):
            self.delays.begin(self._cohorts.queued, self._clock() if read_at is None else read_at)
        self._go_round()

    def hold(self, member: Member) -> None:
        """Send a client nothing until :meth:`release`."""
        if member.session.disconnect is None:
            self._cohorts.hold(member)

    def release(self, member: Member) -> None:
        """Go on with a client whose unsent bytes are gone."""
        if member in self._cohorts.held:
            if self._gap is not member.gap and not self._can_tell():
                # It goes on with all others that were there before the gap.
                self._cohorts.remove(member)
                return
            self._move(member)
            self._cohorts.place(member)
            # Not at once: the transport calls this in the middle of its own work.
            self._go_round_soon()

    def interrupt(self, reason: Reason) -> None:
        """Have everybody go on here after a gap in the feed: the log has begun anew.

        Those that have cursors are told, each in its turn, once the log has read what comes before that which it shows.
        A plain client cannot be: it goes on, and is closed by a :meth:`sweep`, one after the other.
        """
        head = self._log.head
        self._gap = Gap(head, reason)
        self._cohorts.begin(head)
        self.delays.forget()
        self._before_gap = list(self._members)
        self._partings.expect(len(self._members))
        self._go_round()

    def end(self, disconnect: Disconnect, *, but: int = 0) -> None:
        """End the sessions of all ``but`` so many clients."""
        going_on = [member for member in self._members if member.session.disconnect is None]
        for member in islice(going_on, max(0, len(going_on) - but)):
            member.session.end(disconnect)
            self._close(member)

    def sweep(self, patience: Patience, share: float = 1.0) -> None:
        """Look at the next ``share`` of all clients: ping the silent, cut off the dead and those that take nothing.

        And close the next of those that could not be told of a gap; the share is that of a second.
        """
        for member in self._partings.take(share):
            if member in self._members:
                member.session.end(INTERRUPTED)
                self._close(member)
        if not self._unswept:
            self._unswept = list(self._members)
        now = self._clock()
        for _ in range(min(len(self._unswept), math.ceil(share * len(self._members)))):
            member = self._unswept.pop()
            if member not in self._members:
                continue
            verdict = member.look(now, patience)
            if verdict is not None:
                self._cut(member, verdict)

    def cut(self) -> None:
        """Cut all connections that are left; they are gone in a turn of the loop."""
        for member in self._members:
            self._cut(member, SHUTDOWN)

    def _can_tell(self) -> bool:
        """Whether the newest gap can be told: with a cursor by which a topic that is made anew later is noticed."""
        gap, log = self._gap, self._log
        if gap is not None and not gap.cursor and log.shows_what_comes:
            gap.cursor = str(log.cursor_at(max(gap.position, log.tail)))
        return gap is None or bool(gap.cursor)

    def _move(self, member: Member) -> None:
        """Have a client go on behind the newest gap, unless it does already."""
        gap = self._gap
        if gap is None or member.gap is gap or member.session.disconnect is not None or member not in self._members:
            return
        member.gap = gap
        encoding = member.session.encoding
        member.session.miss(gap.position, gap.welcome(encoding) if encoding.has_cursor else b"")
        if not encoding.has_cursor:
            self._partings.add(member)
        if member in self._cohorts.held:
            self._cohorts.hold(member)
        else:
            self._cohorts.place(member)

    def _cut(self, member: Member, disconnect: Disconnect) -> None:
        self.dismiss(member, disconnect)
        member.link.abort()

    def _close(self, member: Member) -> None:
        self._cohorts.remove(member)
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
        cohorts, clock = self._cohorts, self._clock
        cohorts.advance(self._log.head)
        deadline = clock() + SLICE_SECONDS
        while True:
            if (member := cohorts.next_greeted()) is not None:
                self._greet(member)
            elif (cohort := cohorts.next()) is not None:
                self._serve(cohort)
            elif self._before_gap and self._can_tell():
                self._move(self._before_gap.pop())
            else:
                # Those who were last in line may have left.
                self.delays.served(cohorts.taken, clock())
                return
            now = clock()
            self.delays.served(cohorts.taken, now)
            if now > deadline:
                self._go_round_soon()
                return

    def _greet(self, member: Member) -> None:
        session = member.session
        before = session.sent
        data = session.take(self._log, self._write_bytes)
        if not data:
            self._close(member)
            return
        self._cohorts.place(member)
        if member.link.write(data):
            self._count(1, session.sent - before, len(data))

    def _serve(self, cohort: Cohort[Member]) -> None:
        """Send a cohort what follows its position."""
        clients = cohort.clients
        if cohort.position < self._log.tail:
            for member in list(clients.values()):
                member.session.keeps_up(self._log)
                self._close(member)
            return
        chunk = self._log.read(cohort.position, cohort.encoding, self._write_bytes)
        cohort.move_on(chunk)
        sent = len(clients)
        for key, rest in self._write_each(cohort.keys, chunk.data):
            # Its link keeps the rest, and has the client held: it is in the cohort no longer. A lost one keeps nothing.
            sent -= not clients[key].link.write(rest)
        self._count(sent, chunk.posts, len(chunk.data))
        self._cohorts.settle(cohort)

    def _count(self, clients: int, posts: int, size: int) -> None:
        self.posts_sent += clients * posts
        self.bytes_sent += clients * size
