"""The recent feed, encoded once and shared by all clients.

Laws:

* A position counts the posts shown so far; it only grows, also when the feed begins anew. Every
  client is such a position, and :meth:`Log.read` is all that is ever sent to it.
* Every raw record is kept, also one that shows nothing, so that there is a cursor at any time.
* ``bytes`` never exceeds ``limit``, but for the newest record. The oldest records go first, whole.
  Forms other than the plain one are made when somebody needs them, are kept while there is room,
  and never push a record out: they can be made again.
* What is shown depends on the raw records alone (see :mod:`edge.repeats`).

This module knows neither clients nor Kafka, and no time.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, NamedTuple

from edge.cursors import Ahead, Cursor, Gap, Position, Resume, before, stamp_of
from edge.frames import Form, message, message_of, text_frame, with_cursor
from edge.repeats import Repeats
from streams.contract import BadRecord, Offset, Publication, decode_feed

# What a record costs beside its frames: its object, tables and integers, by sys.getsizeof on CPython 3.11.
_RECORD_BYTES: Final = 800
# How many joined reads are remembered. Clients at the head read the same, those that lag are spread.
_READS: Final = 16


class Chunk(NamedTuple):
    """Whole frames, joined, and the position after them."""

    data: bytes
    position: Position


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a record: so many posts are shown, so many were repeats; ``error`` says why none could be."""

    shown: int = 0
    repeats: int = 0
    error: str | None = None


class _Frames:
    """A record's frames in one form: joined, and where each one ends."""

    __slots__ = ("ends", "joined", "size")

    def __init__(self, frames: list[bytes]) -> None:
        self.joined = b"".join(frames)
        self.ends = array("Q", [0])
        for frame in frames:
            self.ends.append(self.ends[-1] + len(frame))
        self.size = len(self.joined) + len(self.ends) * self.ends.itemsize

    def __getitem__(self, index: int) -> bytes:
        return self.joined[self.ends[index] : self.ends[index + 1]]


class _Record:
    """One raw record: the posts that it shows, and which of its publications they are."""

    __slots__ = ("count", "first", "forms", "offset", "places", "stamp")

    def __init__(
        self, offset: Offset, stamp: bytes, first: Position, publications: list[Publication], shown: list[int]
    ) -> None:
        self.offset = offset
        self.stamp = stamp
        self.first = first
        self.count = len(publications)
        self.places = array("I", shown)
        self.forms = {Form.PLAIN: _Frames([text_frame(message(publications[index])) for index in shown])}

    def cursor(self, place: int) -> Cursor:
        return Cursor(self.offset, place, self.stamp)

    def made(self, form: Form) -> _Frames:
        """Return the frames of ``form``; the only one beside the plain one is that with cursors."""
        if (frames := self.forms.get(form)) is None:
            plain = self.forms[Form.PLAIN]
            frames = _Frames(
                [
                    text_frame(with_cursor(message_of(plain[index]), str(self.cursor(place + 1))))
                    for index, place in enumerate(self.places)
                ]
            )
        return frames


_first = attrgetter("first")


class Log:
    """Append raw records; read frames from any position that is still there.

    ``limit`` is in bytes; ``reach`` is how many records back a post counts as a repeat.
    """

    def __init__(self, *, limit: int, reach: int) -> None:
        self._limit = limit
        self._reach = reach
        self._repeats = Repeats(reach)
        self._records: list[_Record] = []
        self._extras: deque[tuple[_Record, Form]] = deque()
        self._reads: dict[tuple[Position, Form, int], Chunk] = {}
        self._before = before(Offset(0))
        self._newest: tuple[Offset, bytes] | None = None
        self._offer_from = Offset(0)
        self.next_offset: Offset | None = None
        """The record that is read next, or None before the first :meth:`begin`."""
        self.head = Position(0)
        """The position of the next post that will be shown."""
        self.bytes = 0

    @property
    def tail(self) -> Position:
        """The oldest position that can still be read."""
        return self._records[0].first if self._records else self.head

    def begin(self, read_from: Offset, offer_from: Offset) -> None:
        """Begin anew: expect ``read_from`` next, and show what comes from ``offer_from`` on."""
        self._repeats = Repeats(self._reach)
        self._records.clear()
        self._extras.clear()
        self._reads.clear()
        self._before = before(offer_from)
        self._newest = None
        self._offer_from = offer_from
        self.next_offset = read_from
        self.bytes = 0

    def append(self, offset: Offset, value: bytes) -> Appended | Gap:
        """Take the next raw record, or the newest one again, which must be the same then."""
        stamp = stamp_of(value)
        if self._newest is not None and offset == self._newest[0]:
            return Appended() if stamp == self._newest[1] else Gap("recreated")
        if offset != self.next_offset:
            return Gap("interrupted")
        publications, error = _decode(value)
        fresh = self._repeats.first_seen(offset, publications)
        self._newest = (offset, stamp)
        self.next_offset = Offset(offset + 1)
        repeats = len(publications) - len(fresh)
        record = _Record(offset, stamp, self.head, publications, fresh if offset >= self._offer_from else [])
        if offset < self._offer_from:
            if offset == self._offer_from - 1:
                self._before = record.cursor(record.count)
            return Appended(0, repeats, error)
        self._records.append(record)
        self._reads.clear()
        self.head = Position(self.head + len(fresh))
        self.bytes += _RECORD_BYTES + record.forms[Form.PLAIN].size
        self._trim()
        return Appended(len(fresh), repeats, error)

    def read(self, position: Position, form: Form, limit: int) -> Chunk:
        """Join what follows ``position``: up to ``limit`` bytes, but at least one frame when there is one.

        ``position`` is not before :attr:`tail`.
        """
        key = (position, form, limit)
        chunk = self._reads.get(key)
        if chunk is None:
            chunk = self._join(position, form, limit)
            if len(self._reads) == _READS:
                self._reads.clear()
            self._reads[key] = chunk
        return chunk

    def position_at(self, offset: Offset) -> Position:
        """Return the position of the first post of record ``offset`` or a later one, as far as the log has it."""
        index = max(self._index(offset), 0)
        return self._records[index].first if index < len(self._records) else self.head

    def cursor_at(self, position: Position) -> Cursor:
        """Return the cursor of what precedes ``position``, which is not before :attr:`tail`."""
        if position < self.head:
            record = self._record_of(position)
            return record.cursor(record.places[position - record.first])
        return self._records[-1].cursor(self._records[-1].count) if self._records else self._before

    def resume(self, cursor: Cursor) -> Resume | Ahead | Gap:
        """Find where a client goes on that has seen everything up to ``cursor``."""
        whole = cursor == before(cursor.offset)
        needed = Offset(cursor.offset if whole else cursor.offset + 1)
        if self.next_offset is None or (needed > self.next_offset and cursor != self._before):
            return Ahead(needed)
        if cursor == self._before:
            return Resume(self.tail)
        index = self._index(cursor.offset)
        if index < 0:
            return Gap("expired")
        if whole:
            return Resume(self.position_at(cursor.offset))
        record = self._records[index]
        if cursor.stamp != record.stamp:
            return Gap("recreated")
        return Resume(Position(record.first + bisect_left(record.places, cursor.place)))

    def _index(self, offset: Offset) -> int:
        """Where record ``offset`` is among those kept: negative before them, their number after them."""
        first = self._records[0].offset if self._records else self._offer_from
        return min(offset - first, len(self._records))

    def _record_of(self, position: Position) -> _Record:
        # The last of those that begin there: the others show nothing.
        return self._records[bisect_right(self._records, position, key=_first) - 1]

    def _join(self, position: Position, form: Form, limit: int) -> Chunk:
        pieces: list[bytes] = []
        room = limit
        while position < self.head:
            record = self._record_of(position)
            frames = self._frames(record, form)
            start = position - record.first
            ends = frames.ends
            stop = bisect_right(ends, ends[start] + room) - 1
            if stop == start:
                if pieces:
                    break
                stop = start + 1
            # A slice that is the whole is no copy: one record, one write, no joining.
            piece = frames.joined[ends[start] : ends[stop]]
            pieces.append(piece)
            position = Position(record.first + stop)
            room -= len(piece)
            if room <= 0 or stop < len(record.places):
                break
        return Chunk(b"".join(pieces) if len(pieces) != 1 else pieces[0], position)

    def _frames(self, record: _Record, form: Form) -> _Frames:
        frames = record.made(form)
        if form not in record.forms and self.bytes + frames.size <= self._limit:
            record.forms[form] = frames
            self._extras.append((record, form))
            self.bytes += frames.size
        return frames

    def _trim(self) -> None:
        while self.bytes > self._limit and self._extras:
            record, form = self._extras.popleft()
            self.bytes -= record.forms.pop(form).size
        gone = 0
        while self.bytes > self._limit and gone < len(self._records) - 1:
            record = self._records[gone]
            self.bytes -= _RECORD_BYTES + record.forms[Form.PLAIN].size
            self._before = record.cursor(record.count)
            gone += 1
        del self._records[:gone]


def _decode(value: bytes) -> tuple[list[Publication], str | None]:
    try:
        # The payloads stay encoded, so their characters are nobody's business until a browser
        # closes the connection over them (RFC 6455 §8.1).
        value.decode()
        return decode_feed(value).publications, None
    except (BadRecord, UnicodeDecodeError) as error:
        return [], str(error)
