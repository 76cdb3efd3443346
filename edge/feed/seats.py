"""What a replay knows of those that read it, and what it says is to be done for them."""

from enum import Enum, auto, unique
from typing import Protocol

from edge.feed.position import Cursor, Position, first_behind, place_of


@unique
class Step(Enum):
    """What is to be done next."""

    READ = auto()
    """Read from Kafka, and :meth:`Replay.take` what comes."""
    APPEND = auto()
    """Call :meth:`Replay.append`."""
    REST = auto()
    """Wait until a reader has moved, come or gone, or for a moment."""
    OVER = auto()


class Reader(Protocol):
    """A client, or a request, that reads a replay."""

    @property
    def position(self) -> Position:
        """What it was sent everything before."""
        ...


class Seat:
    """A place that is kept for a reader before it is there, and while it reads on its own account."""

    def __init__(self, cursor: Cursor, *, or_earliest: bool = False) -> None:
        self.or_earliest = or_earliest
        """Whether the first record that may be offered does, too, where that comes later."""
        self.cursor = cursor
        self.position = cursor.position
        self.first, _ = place_of(cursor.position)
        """The record that its cursor stands in, or before."""
        self.until = first_behind(cursor.position)
        """Every record before this one is to be read."""
        self.takes_less = False
        """Whether fewer are enough where there are no more, or there is no room for more."""
