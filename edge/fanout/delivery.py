"""Sends a cohort what comes next: one read of the log, and one write for each of its clients."""

from edge.fanout.cohorts import Cohort
from edge.fanout.link import WriteEach
from edge.fanout.member import Member
from edge.fanout.sources import log_of
from edge.feed.log import Log


class Delivery:
    """Reads and writes at most ``write_bytes`` at a time, or a single post, and counts what was sent."""

    def __init__(self, log: Log, write_each: WriteEach, *, write_bytes: int) -> None:
        self._log = log
        self._write_each = write_each
        self._write_bytes = write_bytes
        self.posts = 0
        """How many posts were sent, each to each client."""
        self.bytes = 0

    def send(self, cohort: Cohort[Member]) -> None:
        """Send a cohort its greeting and what follows its position, which is not before the log's tail."""
        clients = cohort.clients
        chunk = log_of(cohort, self._log).read(cohort.position, cohort.encoding, self._write_bytes)
        data = cohort.greeting + chunk.data if cohort.greeting else chunk.data
        cohort.greeting = b""
        cohort.move_on(chunk)
        if not data:
            # What follows shows nothing.
            return
        sent = len(clients)
        for key, rest in self._write_each(cohort.keys, data):
            # The link keeps the rest, and pauses the client: it is in the cohort no longer. A lost one keeps nothing.
            sent -= not clients[key].link.write(rest)
        self.posts += sent * chunk.posts
        self.bytes += sent * len(data)
