"""What is in the way of reading posts.created, as the stage that reads reports it.

That is a rebalance, brokers that lead its partitions and do not answer, or a right that this worker lacks. Each is
reported from when it is noticed until it is over, and beside the others. This module asks nobody.
"""

from streams.progress import OpenWork, Stage


class Hindrances:
    """All that ``read`` waits for; at first, for partitions."""

    def __init__(self, read: Stage) -> None:
        self._rebalance = OpenWork(read)
        self._unanswered = OpenWork(read)
        self._refused = OpenWork(read)
        self._rebalance.open().waits("kafka", "waiting for partitions of posts.created")

    def rebalance(self, why: str) -> None:
        """Report that partitions are being shared anew: what it waits for now."""
        self._rebalance.open().waits("kafka", f"a rebalance: {why}")

    def assigned(self) -> None:
        """Report that the rebalance is over."""
        self._rebalance.close()

    def unanswered(self) -> None:
        """Report that no leader of an assigned partition answers."""
        why = "no broker of Kafka that leads the assigned partitions of posts.created answers"
        self._unanswered.open().waits("leader", why)

    def answered(self) -> None:
        """Report that one does, or that none is needed."""
        self._unanswered.close()

    def note_right(self, *, is_refused: bool) -> None:
        """Report whether Kafka refuses to let this worker read."""
        if is_refused:
            why = "Kafka does not allow this worker to read posts.created: grant it the right"
            self._refused.open().waits("permission", why)
        else:
            self._refused.close()
