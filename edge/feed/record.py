"""One raw record of the feed: the posts that it shows, as frames in each form.

The frames of the plain form are kept with the record; those of the others are made when they are
asked for, and kept or not by the log. A form that is compressed consists of *streams*: stretches
of messages that are compressed together, so that whoever gets a stream from its first message on
can read it (see :mod:`edge.wire.deflate`). Where a record's streams begin is the same for everybody; for
those who begin in the middle of one, its messages are also compressed alone.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from edge.feed.position import Cursor, Position
from edge.wire.encoding import Encoding, Message
from edge.wire.frames import message_of, text_frame
from edge.wire.messages import message
from streams.contract import BadRecord, FeedRecord, Offset, Publication, decode_feed

# What a record costs beside its frames: its object, tables and integers, by sys.getsizeof on CPython 3.11.
_RECORD_BYTES: Final = 800


class Frames:
    """Consecutive frames: joined, and where each one ends."""

    __slots__ = ("ends", "joined", "size")

    def __init__(self, frames: Iterable[bytes]) -> None:
        pieces = list(frames)
        self.joined = b"".join(pieces)
        self.ends = array("Q", [0])
        for piece in pieces:
            self.ends.append(self.ends[-1] + len(piece))
        self.size = len(self.joined) + len(self.ends) * self.ends.itemsize
        """What they cost in memory, in bytes."""

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: int) -> bytes:
        return self.joined[self.ends[index] : self.ends[index + 1]]


class Record:
    """The posts that a record shows (``shown``: which of its publications they are)."""

    __slots__ = ("count", "first", "offset", "places", "plain", "stamp", "window")

    def __init__(
        self,
        offset: Offset,
        stamp: bytes,
        first: Position,
        publications: list[Publication],
        shown: list[int],
        *,
        window: int = 0,
    ) -> None:
        self.offset = offset
        self.stamp = stamp
        self.window = window
        """When the window of its posts began, in ms."""
        self.first = first
        """The position of its first post."""
        self.count = len(publications)
        self.places = array("I", shown)
        self.plain = Frames(text_frame(message(publications[index])) for index in shown)

    @property
    def size(self) -> int:
        """What it costs in memory, in bytes, without the forms that others keep."""
        return _RECORD_BYTES + self.plain.size

    def cursor(self, place: int) -> Cursor:
        """Return the cursor of what follows ``place`` publications."""
        return Cursor(self.offset, place, self.stamp)

    def stream_of(self, index: int, size: int) -> tuple[int, int]:
        """Return where the stream of some ``size`` bytes begins and ends that post ``index`` is in.

        The record's bytes are divided evenly, so that the last stream is not too short to gain anything.
        A post belongs to the stream in whose part it begins.
        """
        ends = self.plain.ends
        total = ends[-1]
        streams = -(-total // size)
        number = ends[index] * streams // total
        begin, end = -(-number * total // streams), -(-(number + 1) * total // streams)
        return bisect_left(ends, begin), bisect_left(ends, end)

    def stream(self, encoding: Encoding, begin: int, end: int) -> Frames:
        """Make the frames of a stream."""
        return Frames(encoding.stream(self._messages(encoding, begin, end)))

    def alone(self, encoding: Encoding, begin: int, end: int) -> Frames:
        """Make frames for who has not got what is before them: each one refers to nothing before it."""
        return Frames(encoding.each(self._messages(encoding, begin, end)))

    def _messages(self, encoding: Encoding, begin: int, end: int) -> list[Message]:
        messages = [message_of(self.plain[index]) for index in range(begin, end)]
        if not encoding.has_cursor:
            return [Message(text) for text in messages]
        return [
            Message(text, str(self.cursor(place + 1)), self.window)
            for text, place in zip(messages, self.places[begin:end], strict=True)
        ]


def decoded(value: bytes) -> tuple[FeedRecord, str | None]:
    """Decode a raw record; return it, or one without publications and why, if it is none."""
    try:
        # The payloads stay encoded, so their characters are nobody's business until a browser
        # closes the connection over them (RFC 6455 §8.1).
        value.decode()
        return decode_feed(value), None
    except (BadRecord, UnicodeDecodeError) as error:
        return FeedRecord(window=0, publications=[]), str(error)
