"""All that the log is read for, told one after the other."""

from edge.feed.position import Reason
from edge.feed.topic import Readers


class Audience:
    """Several readers as one; the first is told first."""

    def __init__(self, *readers: Readers) -> None:
        self._readers = readers

    def publish(self, read_at: float | None = None) -> None:
        """Tell of what the log has got."""
        for each in self._readers:
            each.publish(read_at)

    def interrupt(self, reason: Reason) -> None:
        """Tell of a gap in the feed."""
        for each in self._readers:
            each.interrupt(reason)
