"""What the metrics read of the edge's parts, as they see them: figures, and nothing that changes a part."""

from collections.abc import Mapping
from typing import Protocol

from edge.clients.page_figures import PageFigures
from edge.feed.position import Reason
from edge.feed.replaying import Bound
from edge.positions.keeper import Outcome


class FeedState(Protocol):
    """What the metrics read of the source."""

    records: int
    repeats: int
    undecodable: int

    @property
    def lag(self) -> int:
        """How many records of the feed were not read yet when it was last read."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why the feed is not followed to its end; None when it is."""
        ...

    @property
    def gaps(self) -> Mapping[Reason, int]:
        """Gaps in the feed, by reason."""
        ...

    @property
    def reconnects(self) -> int:
        """How often Kafka was connected to again."""
        ...

    @property
    def lag_seconds(self) -> float:
        """For how long the feed has not been read to its end."""
        ...


class ReplayState(Protocol):
    """What the metrics read of replays."""

    begun: int

    def __len__(self) -> int:
        """Say how many run."""
        ...

    @property
    def records(self) -> int:
        """How many records they have read."""
        ...

    @property
    def bytes(self) -> int:
        """How many bytes these have."""
        ...

    @property
    def left_behind(self) -> int:
        """How many readers others did not wait for."""
        ...

    @property
    def refused(self) -> Mapping[Bound, int]:
        """Cursors that were refused, by the bound."""
        ...

    @property
    def readers(self) -> int:
        """How many read one."""
        ...

    @property
    def size(self) -> int:
        """What their records cost in memory, in bytes."""
        ...


class PositionsState(Protocol):
    """What the metrics read of stored positions."""

    stored: int
    trouble: str | None

    @property
    def writes(self) -> Mapping[Outcome, int]:
        """How often positions were to be stored."""
        ...

    @property
    def reads(self) -> Mapping[Outcome, int]:
        """How often positions were looked up."""
        ...

    @property
    def waiting(self) -> int:
        """How many devices have something that is not stored."""
        ...

    @property
    def age(self) -> float:
        """For how long the first of them has waited, in seconds."""
        ...


class HasFigures(Protocol):
    """What the metrics read of ``/posts``."""

    @property
    def figures(self) -> PageFigures:
        """What has become of requests until now."""
        ...


class LogOutput(Protocol):
    """What the metrics read of the log's output."""

    dropped: int
