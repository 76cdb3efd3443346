"""One raw record of the feed: its place, and the messages of the posts that it shows.

Messages are kept as JSON, joined; encodings make bytes of *stretches* of them (:mod:`edge.feed.encodings`). How a
record is divided into stretches is the same for everybody.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

from edge.feed.position import MAX_PUBLICATIONS, Cursor, Position, place_of, position_of
from edge.feed.selection import author_of
from edge.wire.encoding import Message
from edge.wire.messages import message
from streams.contract import BadRecord, FeedRecord, Millis, Offset, Publication, decode_feed

# What a record costs beside its messages: its object, tables and integers, by sys.getsizeof on CPython 3.11.
_RECORD_BYTES: Final = 800

_EMPTY: Final = FeedRecord(window=Millis(0), publications=[])


class Joined:
    """Consecutive pieces of bytes, joined, and where each of them ends."""

    __slots__ = ("bytes", "ends", "size")

    def __init__(self, pieces: Iterable[bytes]) -> None:
        pieces = list(pieces)
        self.bytes = b"".join(pieces)
        self.ends = array("Q", [0])
        for piece in pieces:
            self.ends.append(self.ends[-1] + len(piece))
        self.size = len(self.bytes) + len(self.ends) * self.ends.itemsize
        """What they cost in memory, in bytes."""

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: int) -> bytes:
        return self.bytes[self.ends[index] : self.ends[index + 1]]


class Record:
    """The posts that a record shows (``shown``: which of its publications they are, from 0).

    ``begin`` is the position before its first publication, and ``shown_before`` how many posts were shown before it.
    """

    __slots__ = ("authors", "begin", "end", "offset", "places", "shown_before", "stamp", "texts", "window")

    def __init__(
        self,
        offset: Offset,
        stamp: bytes,
        begin: Position,
        publications: Sequence[Publication],
        shown: Sequence[int],
        *,
        shown_before: int = 0,
        window: int = 0,
    ) -> None:
        self.offset = offset
        self.stamp = stamp
        self.window = window
        """When the window of its posts began, in ms."""
        self.begin = begin
        if publications:
            self.end = position_of(offset, len(publications))
        else:
            # It is no place: the one after it is the one before it. Where there is no publication before it, that is
            # the place before what comes next.
            self.end = begin if place_of(begin)[1] else position_of(Offset(offset + 1), 0)
        self.places = array("I", shown)
        self.authors = array("q", (author_of(publications[index].author) for index in shown))
        """By which ids its posts can be selected."""
        self.shown_before = shown_before
        self.texts = Joined(message(publications[index]) for index in shown)

    @property
    def size(self) -> int:
        """What it costs in memory, in bytes, without the encodings that others keep."""
        tables = len(self.places) * (self.places.itemsize + self.authors.itemsize)
        return _RECORD_BYTES + self.texts.size + tables

    def position(self, posts: int) -> Position:
        """Return the position after so many of its posts."""
        if posts == 0:
            return self.begin
        # After the last post also what repeats something is passed: that place has one position.
        return self.end if posts == len(self.places) else position_of(self.offset, self.places[posts - 1] + 1)

    def posts_before(self, position: Position) -> int:
        """Return how many of its posts are before a position of this record."""
        _, index = place_of(position)
        return bisect_left(self.places, index)

    def stretch_of(self, post: int, size: int) -> tuple[int, int]:
        """Return where the stretch of some ``size`` bytes begins and ends that a post is in.

        The record's bytes are divided evenly, so that the last stretch is not too short for compression to gain
        anything. A post belongs to the stretch in whose part it begins, so that a stretch is longer than its part by
        less than one message.
        """
        ends = self.texts.ends
        total = ends[-1]
        stretches = -(-total // size)
        number = ends[post] * stretches // total
        begin, end = -(-number * total // stretches), -(-(number + 1) * total // stretches)
        return bisect_left(ends, begin), bisect_left(ends, end)

    def messages(self, begin: int, end: int, *, has_cursor: bool) -> list[Message]:
        """Return the posts from number ``begin`` to ``end`` (excluded) for an encoding."""
        texts = [self.texts[post] for post in range(begin, end)]
        if not has_cursor:
            return [Message(text) for text in texts]
        cursors = (str(Cursor(self.position(post + 1), self.stamp)) for post in range(begin, end))
        return [Message(text, cursor, self.window) for text, cursor in zip(texts, cursors, strict=True)]


def decoded(value: bytes) -> tuple[FeedRecord, str | None]:
    """Decode a raw record; return it, or one without publications and why, if it is none."""
    try:
        # The payloads stay encoded, so their characters are nobody's business until a browser
        # closes the connection over them (RFC 6455 §8.1).
        value.decode()
        record = decode_feed(value)
    except (BadRecord, UnicodeDecodeError) as error:
        return _EMPTY, str(error)
    if (count := len(record.publications)) > MAX_PUBLICATIONS:
        return _EMPTY, f"the record has {count} publications, more than {MAX_PUBLICATIONS}"
    return record, None
