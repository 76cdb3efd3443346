"""The newest reads of the log, joined once for all clients at the same position.

Law: what is remembered never costs more than the room that there is. An object that several reads share counts once,
but also where the encoding of a record has it too: that may be let go of before.
"""

from typing import Final, NamedTuple

from edge.feed.position import Position
from edge.feed.selection import Selection
from edge.wire.encoding import Encoding
from streams.contract import Offset

# Clients at the head read the same, those that lag are spread.
_MOST: Final = 16


class Reading(NamedTuple):
    """What clients that are sent the same have in common: which posts they see, and in what form."""

    encoding: Encoding
    selection: Selection | None = None


class Chunk(NamedTuple):
    """Whole messages, joined, the position up to which there are no others, and how many posts they are."""

    data: bytes
    position: Position
    posts: int


class Wanted(NamedTuple):
    """What a read is decided by, while the log stays as it is."""

    position: Position
    reading: Reading
    limit: int
    until: Offset | None = None
    """The record before which the read ends."""


class Reads:
    """Some reads, in at most ``room`` bytes."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: dict[Wanted, Chunk] = {}
        self.size = 0
        """What they cost in memory."""

    def get(self, wanted: Wanted) -> Chunk | None:
        """Return a read that is remembered."""
        return self._kept.get(wanted)

    def keep(self, wanted: Wanted, chunk: Chunk) -> None:
        """Remember a read, if there is room for it."""
        is_shared = any(chunk.data is kept.data for kept in self._kept.values())
        size = self.size + (0 if is_shared else len(chunk.data))
        if len(self._kept) == _MOST or size > self._room:
            self.clear()
            size = len(chunk.data)
        if size <= self._room:
            self._kept[wanted] = chunk
            self.size = size

    def clear(self) -> None:
        """Forget all of them: the log has changed."""
        self._kept.clear()
        self.size = 0
