"""Serves cohorts: each is sent what comes next, and goes on from there, or ends where that is gone.

Law: where what comes next is not what its clients may see, they are sent nothing of it, and their sessions end.
"""

from collections.abc import Callable

from edge.fanout.cohorts import Cohort, Cohorts
from edge.fanout.delivery import Delivery
from edge.fanout.loop import Loop
from edge.fanout.member import Member
from edge.fanout.sources import log_of, settle
from edge.feed.log import Log
from edge.feed.matches import Mismatch


class Serving:
    """Serves cohorts by a ``delivery``.

    ``drop`` is told of clients that the log has moved past, ``fail`` of those to whom a fault of ours has happened.
    """

    def __init__(
        self,
        log: Log,
        cohorts: Cohorts[Member],
        delivery: Delivery,
        loop: Loop,
        *,
        drop: Callable[[Member], None],
        fail: Callable[[Member], None],
    ) -> None:
        self._log = log
        self._cohorts = cohorts
        self._delivery = delivery
        self._loop = loop
        self._drop = drop
        self._fail = fail

    def serve(self, cohort: Cohort[Member]) -> None:
        """Send a cohort, which waits no more, what comes next, and have it wait or rest again."""
        if cohort.position < log_of(cohort, self._log).tail:
            for member in list(cohort.clients.values()):
                self._drop(member)
            return
        greeted = list(cohort.clients.values()) if cohort.greeting else ()
        try:
            self._delivery.send(cohort)
        except Mismatch:
            for member in list(cohort.clients.values()):
                self._fail(member)
            return
        for member in greeted:
            member.tell_owed()
        replay = cohort.replay
        settle(cohort, cohort.clients.values(), self._log)
        self._cohorts.put_back(cohort, self._loop.time())
        if replay is not None:
            replay.sent(cohort.position)
