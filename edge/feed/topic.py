"""What following the feed needs of Kafka, and of those that the feed is read for."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from edge.feed.position import Reason
from edge.feed.start import Bounds
from streams.contract import Millis, Offset


class Unreachable(Exception):
    """The feed cannot be followed now; ``sentence`` says why, as operators are told."""

    sentence = "Kafka does not answer."

    def __init__(self, why: str, sentence: str | None = None) -> None:
        super().__init__(why)
        self.sentence = sentence or self.sentence


class Unreadable(Unreachable):
    """Kafka has sent records that its client cannot decode."""

    sentence = "Kafka has sent a batch of the feed that cannot be decoded."


class Raw(NamedTuple):
    """A record as Kafka has it; the timestamp is Kafka's."""

    offset: Offset
    value: bytes
    timestamp: Millis


class Read(NamedTuple):
    """What a read has brought: records in order, where the next read begins, and where the feed ended then.

    And how many partitions the topic has, as far as is known; 0 when it does not exist.
    """

    records: Sequence[Raw]
    next_offset: Offset
    end: Offset
    partitions: int = 1


class Topic(Protocol):
    """What the source needs of Kafka. Every method raises :class:`Unreachable`."""

    async def partitions(self) -> int:
        """Say how many partitions there are; 0 when the topic does not exist."""
        ...

    async def bounds(self) -> Bounds:
        """Say which records there are."""
        ...

    async def end(self) -> Offset:
        """Say which offset the next record will get, as of this call or later."""
        ...

    async def confirmed_end(self) -> Offset:
        """Say the same, by the word of a majority of the brokers that keep the topic."""
        ...

    async def seek(self, offset: Offset) -> None:
        """Read on from ``offset``."""
        ...

    async def read(self) -> Read:
        """Return a few records, or none when there was none for a while."""
        ...


class Feed(NamedTuple):
    """Where the feed comes from: how it is opened to be followed, and to be read once more by a replay."""

    topic: Callable[[], AbstractAsyncContextManager[Topic]]
    replay: Callable[[], AbstractAsyncContextManager[Topic]]


class Readers(Protocol):
    """Those that the log is read for."""

    def publish(self, read_at: float | None = None) -> None:
        """Send what the log has got, and was read just now or at ``read_at``, by the loop's clock."""
        ...

    def interrupt(self, reason: Reason) -> None:
        """Tell of a gap in the feed: the log has begun anew."""
        ...
