"""Serves cohorts: each is sent what comes next, and goes on from there, or ends where that is gone."""

from collections.abc import Callable

from edge.fanout.cohorts import Cohort, Cohorts
from edge.fanout.delivery import Delivery
from edge.fanout.loop import Loop
from edge.fanout.member import Member
from edge.fanout.sources import log_of, settle
from edge.feed.log import Log


class Serving:
    """Serves cohorts by a ``delivery``; ``drop`` is told of clients that the log has moved past."""

    def __init__(
        self,
        log: Log,
        cohorts: Cohorts[Member],
        delivery: Delivery,
        loop: Loop,
        *,
        drop: Callable[[Member], None],
    ) -> None:
        self._log = log
        self._cohorts = cohorts
        self._delivery = delivery
        self._loop = loop
        self._drop = drop

    def serve(self, cohort: Cohort[Member]) -> None:
        """Send a cohort, which waits no more, what comes next, and have it wait or rest again."""
        if cohort.position < log_of(cohort, self._log).tail:
            for member in list(cohort.clients.values()):
                self._drop(member)
            return
        greeted = list(cohort.clients.values()) if cohort.greeting else ()
        self._delivery.send(cohort)
        for member in greeted:
            member.tell_owed()
        replay = cohort.replay
        settle(cohort, cohort.clients.values(), self._log)
        self._cohorts.put_back(cohort, self._loop.time())
        if replay is not None:
            replay.sent(cohort.position)
