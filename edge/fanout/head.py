"""What a record is for clients at the head: they are found, served before everybody else, and the time is taken.

Clients that see everything wait as soon as there is a record. Those with a filter are looked for when nobody of the
others waits any more, a piece at a time, and wait then.
"""

from collections.abc import Callable

from edge.fanout.agenda import Kind
from edge.fanout.cohorts import Cohort, Cohorts
from edge.fanout.delays import Delays
from edge.fanout.loop import Loop, lateness
from edge.fanout.member import Member
from edge.fanout.rounds import BEHIND_SECONDS
from edge.feed.log import Log


class Head:
    """The clients at the head of the log; ``serve`` serves a cohort of them."""

    def __init__(
        self, log: Log, cohorts: Cohorts[Member], loop: Loop, *, serve: Callable[[Cohort[Member]], None]
    ) -> None:
        self._log = log
        self._cohorts = cohorts
        self._agenda = cohorts.agenda
        self._loop = loop
        self._serve = serve
        self.delays = Delays()

    @property
    def is_busy(self) -> bool:
        """Whether somebody at the head waits, or is to be looked for."""
        return self._agenda.is_live() or self._cohorts.rest.is_matching

    def advance(self, read_at: float | None = None) -> None:
        """Put clients at the head on the agenda if there is something for them, which was read at that time or now."""
        now = self._loop.time()
        if self._cohorts.advance(self._log.head, now):
            self.delays.note(now if read_at is None else read_at)
            self._measure()

    def work(self) -> bool:
        """Serve a cohort at the head, or look for some; tell whether there was anything to do."""
        self.advance()
        is_busy = self._agenda.is_live()
        if is_busy:
            self._serve(self._cohorts.take(Kind.HEAD))
        else:
            is_late = lateness(self._loop.time, BEHIND_SECONDS)
            is_busy = self._cohorts.match(self._log, is_late, self._loop.time())
            self._measure()
        # Those who were last may have left.
        self.delays.served(self._agenda.head.taken, self._loop.time())
        return is_busy

    def _measure(self) -> None:
        """Measure what was read until the last client has got it, once it is known who gets it."""
        if not self._cohorts.rest.is_matching:
            self.delays.begin(self._agenda.head.added)
