"""What concerns many clients at once, done for some of them at a time.

That is a gap in the feed, the word of a replay that it does not wait for some, or cannot go on, and the edge's end.
Clients that are ended come back, to other edges or to this one, so one goes after the other (:class:`Pace`).
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from edge.fanout.agenda import Kind
from edge.fanout.cohorts import Cohorts
from edge.fanout.deadlines import Pace
from edge.fanout.ending import End
from edge.fanout.greetings import greet, missed, of_both
from edge.fanout.left_behind import goes_on
from edge.fanout.loop import Loop
from edge.fanout.member import Gap, Member
from edge.fanout.sources import log_of
from edge.feed.log import Log
from edge.feed.position import Position, Reason

AT_ONCE: Final = 64
"""How many clients are dealt with before the next look at the clock, at most."""
_GAP_SECONDS: Final = 60.0
"""After a gap, clients that cannot be told of it are ended over so long a time, or less."""


T = TypeVar("T")


class Everybody:
    """Clients that are still to go on behind the newest gap, or to be told when they are ended.

    ``end_at`` has a client ended at a time, for a reason; ``drop`` ends one that what it reads has moved past.
    ``heartbeat`` is what clients are told about heartbeats, in seconds.
    """

    def __init__(
        self,
        log: Log,
        cohorts: Cohorts[Member],
        loop: Loop,
        *,
        heartbeat: float,
        end_at: Callable[[Member, float, End], None],
        drop: Callable[[Member], None],
    ) -> None:
        self._log = log
        self._cohorts = cohorts
        self._heartbeat = heartbeat
        self._loop = loop
        self._end_at = end_at
        self._drop = drop
        self.gap: Gap | None = None
        """The newest gap."""
        self._before_gap: deque[Member] = deque()
        self._gap_pace = self._end_pace = Pace(0, 0, 0)
        self._to_end: deque[Member] = deque()
        # Clients for which their replays do not wait.
        self._to_leave: deque[Member] = deque()
        # Clients whose replays cannot go on, and why.
        self._to_redirect: deque[tuple[Member, Reason]] = deque()
        self._end = End.SHUTDOWN

    @property
    def waiting(self) -> int:
        """How many are still to go on behind the newest gap, or that of a replay."""
        return len(self._before_gap) + len(self._to_redirect)

    def interrupt(self, reason: Reason, members: Iterable[Member]) -> None:
        """Have all go on at the log's head behind a gap; those that cannot be told of it are ended."""
        if self.gap is not None and self._before_gap:
            # Some are told of both as one.
            reason = of_both(self.gap.reason, reason)
        self.gap = Gap(self._log.head, reason)
        self._before_gap = deque(members)
        self._gap_pace = Pace(self._loop.time(), len(self._before_gap), _GAP_SECONDS)

    def end(self, members: Iterable[Member], end: End, seconds: float) -> None:
        """Have all ended, over ``seconds`` or less."""
        self._end, self._to_end = end, deque(members)
        self._end_pace = Pace(self._loop.time(), len(self._to_end), seconds)

    def leave_behind(self, members: Iterable[Member]) -> None:
        """End clients of a replay that were too slow for the others, but for those who can go on in the log."""
        self._to_leave.extend(members)

    def redirect(self, members: Iterable[Member], reason: Reason) -> None:
        """Have clients of a replay go on at the log's head behind a gap; those that cannot be told of it are ended."""
        self._to_redirect.extend((member, reason) for member in members)

    def can_tell(self) -> bool:
        """Tell whether there is a cursor to go on from behind the newest gap, if there is a gap."""
        return self.gap is None or self.gap.can_be_told(self._log)

    def cursor_of(self, member: Member) -> str | None:
        """Return the cursor behind all that a client was sent, unless the log or the newest gap has moved past it."""
        position, log = member.session.position, log_of(member.session.progress, self._log)
        if member.gap is not self.gap or position < log.tail:
            return None
        return str(log.cursor_at(position))

    def move(self, member: Member) -> bool:
        """Move a client behind the newest gap, unless it is there or has ended; tell whether it was moved."""
        gap = self.gap
        if gap is None or member.gap is gap or member.is_over:
            return False
        member.gap = gap
        self._go_on(member, gap.position, gap.reason)
        if not member.session.encoding.has_cursor:
            self._end_at(member, self._gap_pace.next(), End.INTERRUPTED)
        return True

    def work(self) -> bool:
        """Deal with the next few; tell whether there were any."""
        if self._to_end:
            for member in _some(self._to_end):
                self._end_at(member, self._end_pace.next(), self._end)
        elif self._to_leave:
            for member in _some(self._to_leave):
                self._leave_behind(member)
        elif self._to_redirect and self.can_tell():
            for member, reason in _some(self._to_redirect):
                self._redirect(member, reason)
        elif self._before_gap and self.can_tell():
            for member in _some(self._before_gap):
                if self.move(member):
                    self._begin_anew(member)
        else:
            return False
        return True

    def _is_elsewhere(self, member: Member) -> bool:
        """Tell whether what its replay has said of a client is of no account any more.

        It has ended, goes on in the log already, or was or is told of a gap of the feed that has come meanwhile.
        """
        return member.is_over or member.gap is not self.gap or member.session.replay is None

    def _leave_behind(self, member: Member) -> None:
        if not (self._is_elsewhere(member) or goes_on(self._cohorts, member, self._log, self._loop.time())):
            self._drop(member)

    def _redirect(self, member: Member, reason: Reason) -> None:
        """Have a client of a replay that cannot go on go on at the log's head, behind a gap, wherever it is."""
        if self._is_elsewhere(member):
            return
        self._cohorts.remove(member)
        self._go_on(member, self._log.head, reason)
        if not member.session.encoding.has_cursor:
            self._end_at(member, self._loop.time(), End.INTERRUPTED)
        self._begin_anew(member)

    def _go_on(self, member: Member, position: Position, reason: Reason) -> None:
        """Have a client go on at a position, and be told of all that it has missed before that."""
        seen, reason = missed(member.session, reason)
        member.skip(position)
        greet(member.session, self._log, self._heartbeat, gap=reason, seen=seen)

    def _begin_anew(self, member: Member) -> None:
        # One that fell behind and is still to be closed is not among the paused any more, and takes nothing either.
        if member.link.unsent_since is not None:
            self._cohorts.pause(member)
        else:
            self._cohorts.place(member, Kind.NEWCOMERS, self._loop.time())


def _some(members: deque[T]) -> list[T]:
    return [members.popleft() for _ in range(min(AT_ONCE, len(members)))]
