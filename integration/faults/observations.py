"""What was seen of one schedule: facts with times, all by one monotonic clock, in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Fate = Literal["shown", "missing", "unreadable", "not_an_id"]
"""What should become of a post: shown to clients, or a dead letter with this reason."""

Begins = Literal["first", "resumed", "gap", "anew"]
"""How a stretch begins: with the client's first connection, which was there before the first post; right after
what the client had seen; after a gap that it was told of; or wherever a client without a cursor came back."""


class Announced(NamedTuple):
    """A post whose announcement RabbitMQ has confirmed. ``due`` is from when on it can be shown."""

    post: int
    due: float
    fate: Fate = "shown"
    author: int = 1


class Arrival(NamedTuple):
    """A post that a client was sent, and when."""

    post: int
    at: float


@dataclass
class Stretch:
    """What a client was sent in one go: nothing is missing in it, or that is our fault."""

    begins: Begins
    arrivals: list[Arrival] = field(default_factory=list)
    authors: frozenset[int] | None = None
    """Whose posts the client was to see: those that it asked for and that were allowed to it. None for everybody's."""
    allowed: frozenset[int] | None = None
    """Whose posts its token allows it to see; None for everybody's."""
    again: frozenset[int] | None = None
    """What a client whose place an edge keeps has seen and may see once more: where a life of it begins, else None."""
    begun: float = 0.0
    """When the client knew that it is connected, or was told where it stands."""


@dataclass
class View:
    """All that one client was sent, and when it was not connected. ``leaves``: now and then it goes by itself."""

    client: str
    stretches: list[Stretch] = field(default_factory=list)
    absences: list["Span"] = field(default_factory=list)
    leaves: bool = False
    transport: str = "WebSocket"
    breaches: list[str] = field(default_factory=list)
    """What it was sent that its transport's protocol does not allow, each a sentence."""

    @property
    def arrivals(self) -> list[Arrival]:
        """Everything it was sent, in order."""
        return [arrival for stretch in self.stretches for arrival in stretch.arrivals]

    @property
    def sees_everything(self) -> bool:
        """Whether it was to see everybody's posts all the time."""
        return all(stretch.authors is None for stretch in self.stretches)

    @property
    def gaps(self) -> int:
        """How many gaps it was told of."""
        return sum(stretch.begins == "gap" for stretch in self.stretches)


class Span(NamedTuple):
    """A stretch of time."""

    begin: float
    end: float


class Happened(NamedTuple):
    """A fault that was made: when, and what shows that it really happened (None: nothing does)."""

    kind: str
    span: Span
    evidence: str | None


@dataclass(frozen=True)
class Observations:
    """Everything that a verdict rests on. ``dead`` holds the posts of dead letters by reason."""

    announced: Sequence[Announced]
    views: Sequence[View]
    faults: Sequence[Happened]
    dead: frozenset[tuple[Fate, int]]
    window: float
