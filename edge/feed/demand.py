"""Whether a replay is to read on: as long as one of its readers was sent all there is, and some bytes ahead of it.

Law: how far the fastest reader was is told, and readers are looked at only when that one has gone: there may be ten
thousand, which move each for itself, and each time this is asked.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from edge.feed.position import Position

# What is read ahead of the fastest reader: several writes.
_AHEAD_BYTES: Final = 256 * 1024
_NOWHERE: Final = Position(-1)
"""Before every place."""


class Placed(Protocol):
    """Who is somewhere."""

    @property
    def position(self) -> Position:
        """What it was sent everything before."""
        ...


class Demand:
    """What readers ask for by where they are; they only go forward."""

    def __init__(self) -> None:
        self._furthest = _NOWHERE
        self._is_known = True
        self._ahead = 0

    def note(self, position: Position) -> None:
        """Note that some were sent everything before a position."""
        self._furthest = max(self._furthest, position)

    def forget(self, position: Position) -> None:
        """Note that one has gone who was sent everything before a position."""
        self._is_known = self._is_known and position < self._furthest

    def is_there(self, head: Position, readers: Iterable[Placed], waiting: Iterable[bool] = ()) -> bool:
        """Tell whether more than what ends at ``head`` is wanted; ``waiting`` says of others whether they wait for it.

        It is gone through only if need be.
        """
        if self._ahead <= 0:
            if not self._is_known:
                self._furthest = max((each.position for each in readers), default=_NOWHERE)
                self._is_known = True
            if self._furthest >= head or any(waiting):
                self._ahead = _AHEAD_BYTES
        return self._ahead > 0

    def meet(self, size: int) -> None:
        """Note that so many bytes have come."""
        self._ahead -= size

    def ask_anew(self) -> None:
        """Want no more for now than a reader wants who has been sent all there is."""
        self._ahead = 0
