"""The work of fan-out that is not for clients at the head, a piece at a time.

First come clients that the log has moved past, then what concerns all clients at once, then whoever has a turn; and the
index of filters is kept up with every other piece, so that neither waits for the other.
"""

from collections.abc import Callable

from edge.fanout.agenda import Kind
from edge.fanout.cohorts import Cohort, Cohorts
from edge.fanout.everybody import AT_ONCE, Everybody
from edge.fanout.loop import Loop, lateness
from edge.fanout.member import Member
from edge.fanout.rounds import BEHIND_SECONDS
from edge.feed.log import Log


class Behind:
    """All work but that for the head; ``serve``, ``close`` and ``drop`` do what is to be done."""

    def __init__(
        self,
        log: Log,
        cohorts: Cohorts[Member],
        everybody: Everybody,
        loop: Loop,
        *,
        serve: Callable[[Cohort[Member]], None],
        close: Callable[[Member], None],
        drop: Callable[[Member], None],
    ) -> None:
        self._log = log
        self._cohorts = cohorts
        self._everybody = everybody
        self._loop = loop
        self._serve = serve
        self._close = close
        self._drop = drop
        self._is_indexing = False

    def work(self) -> bool:
        """Do a piece; tell whether there was any."""
        if fallen := self._cohorts.fallen_behind(self._log.tail, AT_ONCE):
            for member in fallen:
                self._drop(member)
            return True
        self._is_indexing = not self._is_indexing
        return (self._is_indexing and self._index()) or self._everybody.work() or self._take_turn() or self._index()

    def _index(self) -> bool:
        return self._cohorts.filters.work(lateness(self._loop.time, BEHIND_SECONDS))

    def _take_turn(self) -> bool:
        did_go_on = self._cohorts.go_on(self._loop.time())
        agenda = self._cohorts.agenda
        match agenda.turn():
            case None:
                return did_go_on
            case Kind.CLOSINGS:
                self._close(agenda.closings.take())
            case kind:
                self._serve(self._cohorts.take(kind))
        return True
