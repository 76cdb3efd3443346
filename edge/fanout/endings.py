"""Ends sessions: each at its time, in its turn, and the same way whatever the reason.

Laws:

* A session is ended once. Its client gets posts until its turn for the close comes, but for one whose token has run
  out, or to which a fault of ours has happened: that is sent nothing more from the moment at which this is noticed.
* Many that are to be closed at once wait for their turns on the agenda; a connection that is cut waits for none.
"""

import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Final

from edge.fanout.cohorts import Cohorts
from edge.fanout.deadlines import Patience
from edge.fanout.ending import End
from edge.fanout.everybody import AT_ONCE
from edge.fanout.loop import Loop
from edge.fanout.member import Member
from edge.fanout.sources import leave
from edge.fanout.watch import Watch

_SILENT: Final = frozenset((End.EXPIRED, End.FAULT))
"""The client is sent nothing more from the moment on at which this is noticed."""


class Endings:
    """The ends of all clients' sessions; ``soon`` has work done in the next turn.

    ``beat`` and ``warn`` are told of clients that are due for a heartbeat, or to be told that their tokens expire.
    """

    def __init__(
        self,
        members: AbstractSet[Member],
        cohorts: Cohorts[Member],
        patience: Patience,
        loop: Loop,
        *,
        soon: Callable[[], None],
        beat: Callable[[Member], None],
        warn: Callable[[Member], None],
    ) -> None:
        self._members = members
        self._cohorts = cohorts
        self._closings = cohorts.agenda.closings
        self._loop = loop
        self._soon = soon
        self._watch = Watch(patience, loop, beat=beat, warn=warn, end=self.end, cut=self.cut)

    def see_to(self, member: Member) -> None:
        """Look at a client when it is due: something has become due earlier, if it is still there."""
        if member in self._members:
            self._watch.see_to(member)

    def forget(self, member: Member) -> None:
        """Look at a client no longer: its connection is lost."""
        self._watch.forget(member)

    def stop(self, member: Member) -> None:
        """Send a client nothing more: its session is over."""
        member.is_over = True
        self._cohorts.remove(member)
        leave(member)

    def end_at(self, member: Member, when: float, end: End) -> None:
        """End a session at a time, unless that is done earlier."""
        if not member.is_over:
            member.end_at(when, end)
            self.see_to(member)

    def end(self, member: Member, end: End) -> None:
        """Have a client's connection closed in its turn."""
        if end in _SILENT:
            self.stop(member)
            member.expiry = None
        member.ends_at, member.end = math.inf, end
        self._closings.add(member, self._loop.time())
        self._soon()

    def fall_behind(self, member: Member) -> None:
        """End a client that what it reads has moved past."""
        self._cohorts.remove(member)
        self.end(member, End.FELL_BEHIND)

    def fail(self, member: Member) -> None:
        """End a client to which a fault of ours has happened; it is sent nothing more."""
        self.end(member, End.FAULT)

    def close(self, member: Member) -> None:
        """Close a client's connection, unless its session has ended otherwise."""
        if not member.is_over:
            self.stop(member)
            member.link.close(member.end)
        elif member.end in _SILENT:
            member.link.close(member.end)

    def cut(self, member: Member, end: End) -> None:
        """Cut a client's connection."""
        self.stop(member)
        self.forget(member)
        member.link.abort(end)

    def cut_some(self) -> None:
        """Close and cut ``AT_ONCE`` of the connections that are left; they are gone in a turn of the loop."""
        for member in list(islice(self._members, AT_ONCE)):
            self.close(member)
            self.cut(member, End.SHUTDOWN)
