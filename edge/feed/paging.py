"""Pages of the feed: where they begin and end, whoever asks and whenever.

Laws:

* A page ends at ``size`` bytes, or at the last record below a multiple of ``records`` that the feed's offsets have, or
  where the log ends. So readers that began anywhere ask for the same pages after one that ended at a multiple.
* What a page that ended because it was full holds follows from the place where it begins, who reads it and the feed
  alone: it is the same at any time and on every edge.
* A page holds at least one post if one follows its beginning and is selected, however long that is; or else it passes
  over a thousand records, if the multiples are of a hundred.
* Pages are made in slices, each of one read of the log, between which the log may go on, or begin anew. A page ends
  where it cannot be followed any more: what comes after its end is asked for as after any other cursor.

This module knows neither clients nor HTTP, and no time.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Final, NamedTuple

from edge.feed.log import Log
from edge.feed.matches import check
from edge.feed.position import Cursor, Resume, place_of
from edge.feed.reads import Reading
from streams.contract import Offset

# As much as a read encodes anew at most: some 2 ms.
_SLICE_BYTES: Final = 64 * 1024
# How many multiples a page passes over that has no post: what a request with a filter costs is bounded.
_MOST_BLOCKS: Final = 10


class Extent(NamedTuple):
    """How long pages are."""

    bytes: int
    records: int

    def end_of_block(self, offset: Offset) -> Offset:
        """Return the record before which a page ends that begins with record ``offset``, or in it."""
        return Offset((offset // self.records + 1) * self.records)


class Leaf(NamedTuple):
    """A page: the cursors between which its posts are, these as they were encoded, and why it has no more of them."""

    start: Cursor
    end: Cursor
    pieces: Sequence[bytes]
    posts: int
    is_full: bool
    """Whether it ended because it was full."""


def page(
    log: Log, start: Cursor, reading: Reading, extent: Extent, slice_: Callable[[], Callable[[], bool]]
) -> Generator[None, None, Leaf]:
    """Make the page that begins at ``start``, from which the log can be read; yield between two slices.

    ``slice_`` is called at the beginning of each slice, and returns what tells whether it has lasted long enough.
    Raises :class:`edge.feed.matches.Mismatch`.
    """
    pieces: list[bytes] = []
    end = behind_last = start
    room, posts = extent.bytes, 0
    offset, _ = place_of(start.position)
    until = extent.end_of_block(offset)
    last = Offset(until + (_MOST_BLOCKS - 1) * extent.records)
    while isinstance(found := log.resume(end), Resume):
        chunk = log.read(found.position, reading, max(1, min(room, _SLICE_BYTES)), slice_(), until)
        if reading.selection is not None:
            check(log.kept, found.position, chunk.position, reading.selection, chunk.posts)
        if pieces and chunk.posts and len(chunk.data) > room:
            # Not where the last slice ended: how far that looked in vain depends on the clock.
            return Leaf(start, behind_last, pieces, posts, is_full=True)
        end = log.cursor_at(chunk.position)
        if chunk.posts:
            pieces.append(chunk.data)
            behind_last = end
            room, posts = room - len(chunk.data), posts + chunk.posts
        elif chunk.position >= log.position_at(until):
            is_read = log.next_offset is not None and log.next_offset >= until
            if pieces or not is_read or until == last:
                return Leaf(start, end, pieces, posts, is_full=is_read)
            until = Offset(until + extent.records)
        yield
    return Leaf(start, end, pieces, posts, is_full=False)
