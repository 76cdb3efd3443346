"""All clients of an edge: a record is one write for each at the head, and what else is due follows in slices.

Laws: fan-out never awaits, and nobody has a queue, a task or a timer of its own. Who is served together the cohorts say
(:mod:`edge.fanout.cohorts`), whose turn it is the agenda (:mod:`edge.fanout.agenda`), when the loop has its turn the
rounds (:mod:`edge.fanout.rounds`), when a client needs attention the deadlines (:mod:`edge.fanout.deadlines`), what
becomes of its token the tokens (:mod:`edge.fanout.tokens`), and how its session ends the endings
(:mod:`edge.fanout.endings`). A client is sent at most ``write_bytes`` at a time, in one write, and nothing while its
transport holds unsent bytes. What concerns all clients at once, such as a gap or the edge's end, is done for a few of
them at a time.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence

from edge.access.grant import Grant
from edge.fanout.agenda import Kind, Wait
from edge.fanout.behind import Behind
from edge.fanout.choosing import choose
from edge.fanout.cohorts import MAX_SIZE, Cohorts
from edge.fanout.deadlines import Patience
from edge.fanout.delivery import Delivery
from edge.fanout.ending import End
from edge.fanout.endings import Endings
from edge.fanout.everybody import Everybody
from edge.fanout.head import Head
from edge.fanout.heartbeats import Heartbeats
from edge.fanout.link import Link, WriteEach
from edge.fanout.loop import Loop
from edge.fanout.member import Member
from edge.fanout.rounds import Rounds
from edge.fanout.serving import Serving
from edge.fanout.session import Session
from edge.fanout.sources import enter, settle
from edge.fanout.tokens import Tokens
from edge.feed.log import Log
from edge.feed.position import Reason
from edge.feed.replay import Replay
from edge.feed.selection import Selection


class Hub:
    """All clients of this process. Every method is synchronous, and called on the loop's thread.

    ``cohort_size`` is how many clients are served before a look at the clock, at most. ``share`` returns a random
    number from 0 to 1, by which connections of the same age end at different times; ``clock`` the time in UTC.
    """

    def __init__(
        self,
        log: Log,
        *,
        write_bytes: int,
        write_each: WriteEach,
        patience: Patience,
        loop: Loop,
        cohort_size: int = MAX_SIZE,
        share: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._patience = patience
        self._loop = loop
        self._share = share
        self._members: set[Member] = set()
        self._cohorts: Cohorts[Member] = Cohorts(log.head, cohort_size)
        self._agenda = self._cohorts.agenda
        self.delivery = Delivery(log, write_each, write_bytes=write_bytes, clock=loop.time)
        self._tokens = Tokens(loop, clock, cursor_of=self.cursor_of, select=self.select)
        self._endings = Endings(
            self._members, self._cohorts, patience, loop, soon=self._soon, beat=self._beat, warn=self._tokens.warn
        )
        drop, fail = self._fall_behind, self._endings.fail
        serve = Serving(log, self._cohorts, self.delivery, loop, drop=drop, fail=fail).serve
        self._head = Head(log, self._cohorts, loop, serve=serve)
        self._everybody = Everybody(
            log, self._cohorts, loop, heartbeat=patience.heartbeat, end_at=self._endings.end_at, drop=drop
        )
        behind = Behind(
            log,
            self._cohorts,
            self._everybody,
            loop,
            serve=serve,
            close=self._endings.close,
            drop=drop,
        )
        self._rounds = Rounds(loop, head=self._head.work, behind=behind.work)
        self.delays, self.filters, self.rest = self._head.delays, self._cohorts.filters, self._cohorts.rest
        self.heartbeats = Heartbeats(log, clock)
        self.deserted = asyncio.Event()  # set while there is no client
        self.deserted.set()

    def __len__(self) -> int:
        return len(self._members)

    @property
    def lagging(self) -> int:
        """How many have not been sent all that there is."""
        return self._cohorts.waiting + self._everybody.waiting

    def waits(self) -> dict[Kind, Wait]:
        """Say how many clients wait for their turn, and for how long, by kind."""
        return self._agenda.waits(self._loop.time())

    def join(self, session: Session, link: Link) -> Member:
        """Take a client in; what is ready for it is sent in its turn, at once if nobody else waits."""
        now = self._loop.time()
        member = Member(self, session, link, self._everybody.gap, now)
        member.end_at(now + self._patience.lifetime(self._share()), End.AGED)
        self._tokens.begin(member)
        link.attach(member)
        self._members.add(member)
        enter(member, self._log)
        self.deserted.clear()
        self._endings.see_to(member)
        self._cohorts.filters.enter(session.selection)
        self._head.advance()
        if link.unsent_since is None:
            self._cohorts.place(member, Kind.NEWCOMERS, now)
            self._rounds.now()
        else:
            self._cohorts.pause(member)
            self._rounds.soon()
        return member

    def leave(self, member: Member) -> None:
        """Forget a client whose connection is lost."""
        self.stop(member)
        self._endings.forget(member)
        self._members.discard(member)
        self._cohorts.filters.leave(member.session.selection)
        self._rounds.soon()
        if not self._members:
            self.deserted.set()

    def stop(self, member: Member) -> None:
        """Send a client nothing more: its session is over."""
        self._endings.stop(member)

    def expect_close(self, member: Member) -> None:
        """Cut a client's connection when its time for a close is over."""
        self._endings.see_to(member)

    def cursor_of(self, member: Member) -> str | None:
        """Return the cursor behind all that a client was sent; None if there is none that it could come back with.

        There is none where the log or a gap has moved past it, nor behind a gap of which it was not told yet: from
        there it would miss what the gap took, and never hear of it.
        """
        return None if member.session.untold else self._everybody.cursor_of(member)

    def select(self, member: Member, selection: Selection | None) -> str | None:
        """Have a client see other posts behind what it was sent; return that place's cursor, or None if it cannot."""
        # It is told of a gap before it sees other posts.
        cursor = None if member.is_over else self._everybody.cursor_of(member)
        if cursor is None or not choose(self._cohorts, member, selection, self._loop.time()):
            return None
        self._rounds.soon()
        return cursor

    def renew(self, member: Member, grant: Grant, selection: Selection | None) -> bool:
        """Have a client go on with another token, and see what is selected; tell whether that could be done."""
        if is_renewed := self._tokens.renew(member, grant, selection):
            self._endings.see_to(member)
        return is_renewed

    def pause(self, member: Member) -> None:
        """Send a client nothing until :meth:`resume`."""
        if not member.is_over:
            self._cohorts.pause(member)
            # It may stall before anything else is due.
            self._endings.see_to(member)

    def resume(self, member: Member) -> None:
        """Go on with a client whose unsent bytes are gone."""
        member.session.note_told(self._loop.time())
        self._endings.see_to(member)
        member.tell_owed()
        if member not in self._cohorts.paused or member.link.unsent_since is not None:
            return
        if member.gap is not self._everybody.gap and not self._everybody.can_tell():
            # It goes on with all others that were there before the gap.
            self._cohorts.remove(member)
            return
        self._everybody.move(member)
        settle(member.session.progress, (member,), self._log)
        kind = Kind.LAGGARDS if member.session.is_greeted else Kind.NEWCOMERS
        self._cohorts.place(member, kind, self._loop.time())
        # Not at once: the transport calls this in the middle of its own work.
        self._rounds.soon()

    def publish(self, read_at: float | None = None) -> None:
        """Send what the log has got, and was read just now or at ``read_at``; end those that it has moved past."""
        was_busy = self._head.is_busy
        self._head.advance(read_at)
        if not was_busy:
            # Not only when it is their turn: the record has come through several turns of the loop already.
            self._rounds.head()
        self._rounds.now()

    def interrupt(self, reason: Reason) -> None:
        """Have everybody go on here after a gap in the feed: the log has begun anew.

        Clients that have cursors are told, each in its turn, once the log has read what comes before that which it
        shows. A plain client cannot be: it goes on, and is ended, one after the other.
        """
        self._cohorts.begin(self._log.head)
        self.delays.forget()
        self._everybody.interrupt(reason, self._members)
        self._rounds.now()

    def wake(self, replay: Replay[Member]) -> None:
        """Send those who read a replay what it has got."""
        self._cohorts.wake(replay)
        self._rounds.now()

    def leave_behind(self, readers: Sequence[Member]) -> None:
        """End clients of a replay that were too slow for the others, but for those who can go on in the log."""
        self._everybody.leave_behind(readers)
        self._rounds.now()

    def redirect(self, readers: Sequence[Member], reason: Reason) -> None:
        """Have clients of a replay go on at the log's head, since it cannot go on; each is told in its turn."""
        self._everybody.redirect(readers, reason)
        self._rounds.now()

    def end_all(self, end: End, seconds: float) -> None:
        """End all sessions one after the other, over ``seconds`` or less; each gets posts until then."""
        self._everybody.end(self._members, end, seconds)
        self._rounds.now()

    def cut_some(self) -> None:
        """Close and cut some of the connections that are left; they are gone in a turn of the loop."""
        self._endings.cut_some()

    def _beat(self, member: Member) -> None:
        """Send a client a heartbeat, unless it is still to go on behind a gap, or is still to be closed."""
        if member.gap is self._everybody.gap and not member.is_over:
            self.heartbeats.send(member)
        member.session.note_told(self._loop.time())

    def _soon(self) -> None:
        self._rounds.soon()

    def _fall_behind(self, member: Member) -> None:
        """End a client that the log has moved past, unless it goes on behind a gap that is still to be told to it."""
        if member.gap is self._everybody.gap:
            self._endings.fall_behind(member)
