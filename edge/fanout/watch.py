"""Looks at each client when it is due: pings the silent, and names those that are to be told something, ended or cut.

Of thousands that are due at once, a few are looked at in a turn.
"""

from collections.abc import Callable
from typing import Final

from edge.fanout.alarm import Alarm
from edge.fanout.deadlines import Due, Patience, deadline, due
from edge.fanout.ending import End
from edge.fanout.loop import Loop
from edge.fanout.member import Member

_AT_ONCE: Final = 64
"""How many are looked at in a turn of the loop: what a cut costs the loop afterwards makes 6 ms of them."""


class Watch:
    """The deadlines of all clients; ``beat``, ``warn``, ``end`` and ``cut`` are told of those for whom it is time.

    After ``beat`` the client's ``told_at`` is the present; after ``warn`` its token warns later, or not again.
    """

    def __init__(
        self,
        patience: Patience,
        loop: Loop,
        *,
        beat: Callable[[Member], None],
        warn: Callable[[Member], None],
        end: Callable[[Member, End], None],
        cut: Callable[[Member, End], None],
    ) -> None:
        self._patience = patience
        self._loop = loop
        self._beat = beat
        self._warn = warn
        self._end = end
        self._cut = cut
        self._alarm = Alarm(loop, _AT_ONCE, self._look)

    def see_to(self, member: Member) -> None:
        """Look at a client by its earliest deadline; so this is told when one has become nearer."""
        self._alarm.watch(member, deadline(member, self._patience))

    def forget(self, member: Member) -> None:
        """Look at a client no longer."""
        self._alarm.forget(member)

    def _look(self, member: Member) -> None:
        now = self._loop.time()
        match due(member, now, self._patience):
            case Due.DEAD:
                self._cut(member, End.DEAD)
                return
            case Due.STALLED:
                self._cut(member, End.STALLED)
                return
            case Due.END:
                self._end(member, member.end)
            case Due.EXPIRED:
                self._end(member, End.EXPIRED)
            case Due.EXPIRING:
                self._warn(member)
            case Due.HEARTBEAT:
                self._beat(member)
            case Due.PING:
                member.pinged = now
                member.link.ping()
        self.see_to(member)
