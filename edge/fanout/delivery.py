"""Sends a cohort what comes next: one read of the log, and one write for each of its clients.

Law: what a client is written is what its own session is to see. Where its token restricts that, it is written as many
posts as match, counted otherwise than they were read.
"""

from collections.abc import Callable
from typing import Final

from edge.fanout.cohorts import Cohort
from edge.fanout.link import WriteEach
from edge.fanout.loop import lateness
from edge.fanout.member import Member
from edge.fanout.sources import log_of
from edge.feed.log import Log
from edge.feed.matches import Mismatch, check
from edge.feed.reads import Chunk
from edge.feed.selection import Selection
from edge.wire.messages import caught_up

READ_SECONDS: Final = 0.001
"""As long as a piece of work behind the head (:mod:`edge.fanout.rounds`)."""


class Delivery:
    """Reads and writes at most ``write_bytes`` at a time, or a single post, and counts what was sent.

    A read of what is selected ends after ``READ_SECONDS`` by the ``clock``, though it has found nothing.
    """

    def __init__(self, log: Log, write_each: WriteEach, *, write_bytes: int, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._write_each = write_each
        self._write_bytes = write_bytes
        self.posts = 0
        """How many posts were sent, each to each client."""
        self.bytes = 0
        self.mismatches = 0
        """How often that was not so, and nothing was sent."""

    def send(self, cohort: Cohort[Member]) -> None:
        """Send a cohort its greeting and what follows its position, which is not before the log's tail.

        A cohort that has reached its target is told so behind that. Raises :class:`edge.feed.matches.Mismatch`, and has
        sent nothing then.
        """
        clients = cohort.clients
        begun, log = self._clock(), log_of(cohort, self._log)
        is_late = lateness(self._clock, READ_SECONDS)
        chunk = log.read(cohort.position, cohort.reading, self._write_bytes, is_late)
        try:
            _check(log, cohort, chunk)
        except Mismatch:
            self.mismatches += 1
            raise
        data = cohort.greeting + chunk.data if cohort.greeting else chunk.data
        cohort.greeting = b""
        cohort.move_on(chunk)
        if cohort.target is not None and cohort.position >= cohort.target:
            cohort.target = None
            data += cohort.reading.encoding.notice(caught_up(str(log.cursor_at(cohort.position))))
        if not data:
            # What follows shows nothing, or nothing that is selected.
            return
        cohort.told_at = begun
        sent = len(clients)
        for key, rest in self._write_each(cohort.keys, data):
            # The link keeps the rest, and pauses the client: it is in the cohort no longer. A lost one keeps nothing.
            sent -= not clients[key].link.write(rest)
        self.posts += sent * chunk.posts
        self.bytes += sent * len(data)


def _check(log: Log, cohort: Cohort[Member], chunk: Chunk) -> None:
    """Hold against each client's own session what all of them are about to be written.

    That each is among those who see the same is looked up where it may have changed: to look at 10,000 clients for
    each window would cost a twentieth of what their writes do.
    """
    selection = cohort.reading.selection
    if not cohort.is_checked:
        cohort.is_restricted = _is_restricted(cohort, selection)
        cohort.is_checked = True
    if not cohort.is_restricted:
        return
    if selection is None:
        raise Mismatch("a client sees everything, and may not")
    check(log.kept, cohort.position, chunk.position, selection, chunk.posts)


def _is_restricted(cohort: Cohort[Member], selection: Selection | None) -> bool:
    """Tell whether a token restricts one of the clients, all of whom are to see what is selected."""
    is_restricted = False
    for client in cohort.clients.values():
        session = client.session
        if session.progress is not cohort or session.selection is not selection:
            raise Mismatch("a client is among others that are elsewhere, or see something else")
        is_restricted = is_restricted or (session.grant is not None and session.grant.claim is not None)
    return is_restricted
