"""What encodings have made of records: once for all, at first need, and kept within a limit.

A record is encoded by stretches of consecutive messages, either as a stream, for clients that get it from its beginning
on, or each message by itself, for clients that begin in the middle. Laws:

* What is kept never costs more than the room that there is; the stretch that was not used for longest goes first,
  since it can be made again.
* A stretch is encoded at most twice, as a stream and by itself, as long as it is kept.

This module knows neither the log nor its positions: a post is its number in its record.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from edge.feed.record import Joined, Record
from edge.wire.encoding import Encoding
from streams.contract import Offset

# What a kept stretch costs beside its bytes, counted as for a record.
_STRETCH_BYTES: Final = 400
# How many bytes of messages are a stretch where each is encoded by itself: framing them takes less than 1 ms.
_EACH_BYTES: Final = 64 * 1024


# Records leave this part of the room to their encodings. A catch-up needs one encoding of what it reads, compressed
# for most; compressed to 40 %, a quarter of the room holds that of four fifths of the records in the rest.
_ENCODINGS_PART: Final = 0.25
# However large the table of repeats is, records and their encodings have this part of the room: what an outage has held
# back comes in records of thousands of posts, and with the newest of them alone every client would fall out of the log.
_LEAST_PART: Final = 0.75


class Room(NamedTuple):
    """How many bytes records may take, and how many they and their encodings together."""

    records: int
    all: int


def divided(limit: int, repeats: int) -> Room:
    """Divide ``limit`` bytes, of which the table of repeats takes so many."""
    room = max(limit - repeats, int(limit * _LEAST_PART))
    return Room(room - int(room * _ENCODINGS_PART), room)


class Stretch(NamedTuple):
    """Consecutive posts of a record in an encoding; ``is_stream``: each refers to those before it in the stretch."""

    offset: Offset
    encoding: Encoding
    begin: int
    end: int
    is_stream: bool


def stretch_bytes(encoding: Encoding) -> int:
    """Return how many bytes of messages are encoded together."""
    return encoding.stream_bytes or _EACH_BYTES


def stretch_of(record: Record, encoding: Encoding, post: int) -> Stretch:
    """Return the stretch by which a client gets a post, and those after it, that was sent those before it."""
    begin, end = record.stretch_of(post, stretch_bytes(encoding))
    return Stretch(record.offset, encoding, begin, end, is_stream=encoding.stream_bytes > 0 and post == begin)


class Encodings:
    """What was made of records, in at most ``room`` bytes."""

    def __init__(self, room: int) -> None:
        self._room = room
        # Ordered by use, the longest unused first.
        self._kept: OrderedDict[Stretch, Joined] = OrderedDict()
        self.size = 0
        """What it costs in memory, in bytes."""
        self.made = 0
        """How many stretches were encoded, those included that there was no room to keep."""
        self.evicted = 0
        """How many were let go to make room."""

    def clear(self, room: int) -> None:
        """Forget what was made, since its records are gone; have ``room`` bytes from now on."""
        self._kept.clear()
        self.size, self._room = 0, room

    def fit(self, room: int) -> None:
        """Keep to ``room`` bytes from now on."""
        self._room = room
        while self._kept and self.size > room:
            _, made = self._kept.popitem(last=False)
            self.size -= _cost(made)
            self.evicted += 1

    def get(self, stretch: Stretch) -> Joined | None:
        """Return what was made of a stretch, if it is kept."""
        made = self._kept.get(stretch)
        if made is not None:
            self._kept.move_to_end(stretch)
        return made

    def lone(self, record: Record, encoding: Encoding, post: int) -> bytes:
        """Return what is made of a single post, so that it can be read by itself."""
        stretch = Stretch(record.offset, encoding, post, post + 1, is_stream=False)
        return (self.get(stretch) or self.make(stretch, record)).bytes

    def make(self, stretch: Stretch, record: Record) -> Joined:
        """Encode a stretch of a record; keep what was made if there is room for it."""
        encoding = stretch.encoding
        messages = record.messages(stretch.begin, stretch.end, has_cursor=encoding.has_cursor)
        made = Joined(encoding.stream(messages) if stretch.is_stream else encoding.each(messages))
        self.made += 1
        if _cost(made) <= self._room:
            self._kept[stretch] = made
            self.size += _cost(made)
            self.fit(self._room)
        return made


def _cost(made: Joined) -> int:
    return _STRETCH_BYTES + made.size
