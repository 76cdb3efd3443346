"""What is made of kept records for those who read them: encodings, posting lists and joined reads.

Laws: all of it can be made again from the records, so it has only the room that they leave, and never pushes one out.
Readers that see everything share their joined reads among each other, and those that select share theirs: these are
many, and would displace what all others need. A joined read holds only as long as the log stays as it is.

This module knows neither how records are appended, nor what repeats.
"""

from collections.abc import Callable
from typing import Final

from edge.feed.encodings import Encodings
from edge.feed.joins import Back, back_selected, join, join_selected
from edge.feed.postings import Postings
from edge.feed.reads import Chunk, Reads, Wanted
from edge.feed.retained import Retained
from edge.feed.selection import Selection

# This part of the room is for joined reads: all that are remembered, unless posts or writes are large for the log.
_READS_PART: Final = 1 / 32


class Renderings:
    """What is made of the records of a log that costs at most ``limit`` bytes; ``rest`` of these are not for reads."""

    def __init__(self, limit: int) -> None:
        reads = int(limit * _READS_PART / 2)
        self._reads, self._selected = Reads(room=reads), Reads(room=reads)
        self.rest = limit - 2 * reads
        self._room = self.rest
        self.encodings = Encodings(room=self._room)
        self._postings = Postings(room=self._room)

    @property
    def size(self) -> int:
        """What it costs in memory, in bytes."""
        return self.encodings.size + self._postings.size + self._reads.size + self._selected.size

    def clear(self) -> None:
        """Forget everything: the records are gone."""
        self.forget_reads()
        self._room = self.rest
        self.encodings.clear(room=self._room)
        self._postings.clear(room=self._room)

    def forget_reads(self) -> None:
        """Forget what was joined: the log has changed."""
        self._reads.clear()
        self._selected.clear()

    def fit(self, kept: Retained, room: int) -> None:
        """Keep to ``room`` bytes from now on, joined reads not counted; of posts that are kept no more keep nothing."""
        self._room = room
        self._postings.fit(room, first=kept.shown - kept.posts)
        self.encodings.fit(room - self._postings.size)

    def read(self, kept: Retained, wanted: Wanted, is_late: Callable[[], bool]) -> Chunk:
        """Join what is wanted, unless it is joined already."""
        selects = wanted.reading.selection is not None
        reads = self._selected if selects else self._reads
        chunk = reads.get(wanted)
        if chunk is None:
            if selects:
                chunk = join_selected(kept, self._postings, self.encodings, wanted, is_late)
                self.encodings.fit(self._room - self._postings.size)
            else:
                chunk = join(kept, self.encodings, wanted)
            reads.keep(wanted, chunk)
        return chunk

    def look_back(self, kept: Retained, start: Back, selection: Selection, is_late: Callable[[], bool]) -> Back:
        """Look back for posts that are selected, until it is late."""
        found = back_selected(kept, self._postings, start, selection, is_late)
        self.encodings.fit(self._room - self._postings.size)
        return found
