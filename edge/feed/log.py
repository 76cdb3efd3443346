"""The recent feed, encoded once and shared by all clients.

Laws:

* A position counts the posts shown so far; it only grows, also when the feed begins anew. Every
  client is such a position, and :meth:`Log.read` is all that is ever sent to it.
* Every raw record is kept, also one that shows nothing, so that there is a cursor at any time.
* ``size`` never exceeds ``limit``, but for the newest record. The oldest records go first, whole,
  and leave a part of the room to what is made of records: joined reads and their other forms. These are made when
  somebody needs them, once for all; the oldest made go first, and never push a record out, since
  they can be made again.
* A read is decided by the log and its arguments alone, so it is the same for all who are at one
  position. Where it begins in the middle of a stream it gives the rest of that stream as messages
  that stand alone: whoever reads on has, or has not, been sent the beginning, and both can read that.
* What is shown depends on the raw records alone (see :mod:`edge.feed.repeats`).

This module knows neither clients nor Kafka, and no time.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, NamedTuple

from edge.feed.forms import Forms
from edge.feed.position import Ahead, Cursor, Gap, Position, Resume, before, stamp_of
from edge.feed.reads import Chunk, Reads, Wanted
from edge.feed.record import Record, decoded
from edge.feed.repeats import Repeats
from edge.wire.encoding import Encoding
from streams.contract import Offset

# Records leave this part of the room to their other forms. A catch-up needs one form of what it reads, compressed
# for most; compressed to 40 %, a quarter of the room holds that of four fifths of the records in the rest.
_FORMS_PART: Final = 0.25
# A read gives at most so many times its limit of plain frames: compressing 64 KiB four times takes 11 ms.
_COVERED: Final = 4
# This part of the room is for joined reads: all that are remembered, unless posts or writes are large for the log.
_READS_PART: Final = 1 / 32


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a record: so many posts are shown, so many were repeats; ``error`` says why none could be."""

    shown: int = 0
    repeats: int = 0
    error: str | None = None


class Shown(NamedTuple):
    """How many posts a record shows, and when their window began (ms)."""

    window: int
    posts: int


_first = attrgetter("first")


class Log:
    """Append raw records; read frames from any position that is still there.

    ``limit`` is in bytes; ``reach`` is how many records back a post counts as a repeat.
    """

    def __init__(self, *, limit: int, reach: int) -> None:
        self._reads = Reads(room=int(limit * _READS_PART))
        self._limit = limit - int(limit * _READS_PART)
        self._records_limit = self._limit - int(self._limit * _FORMS_PART)
        self._reach = reach
        self._repeats = Repeats(reach)
        self._records: list[Record] = []
        self.forms = Forms(room=limit)
        self._records_bytes = 0
        self._before = before(Offset(0))
        # The least cursor behind which no post of what was forgotten, or only read, would have been shown.
        self._shown_before: Cursor | None = None
        self._newest: tuple[Offset, bytes] | None = None
        self.offer_from = Offset(0)
        """The first record that is shown."""
        self.next_offset: Offset | None = None
        """The record that is read next, or None before the first :meth:`begin`."""
        self.head = Position(0)
        """The position of the next post that will be shown."""

    @property
    def size(self) -> int:
        """What the log costs in memory, all forms and joined reads counted."""
        return self._records_bytes + self.forms.size + self._reads.size

    def shown(self) -> Iterator[Shown]:
        """Yield what the records show, the newest first; nothing may be appended meanwhile."""
        return (Shown(record.window, len(record.places)) for record in reversed(self._records))

    @property
    def shows_what_comes(self) -> bool:
        """Whether all records before the first that is shown have been read."""
        return self.next_offset is not None and self.next_offset >= self.offer_from

    @property
    def tail(self) -> Position:
        """The oldest position that can still be read."""
        return self._records[0].first if self._records else self.head

    def begin(self, read_from: Offset, offer_from: Offset) -> None:
        """Begin anew: expect ``read_from`` next, and show what comes from ``offer_from`` on."""
        self._repeats = Repeats(self._reach)
        self._records.clear()
        self._reads.clear()
        self._before = before(offer_from)
        self._shown_before = None
        self._newest = None
        self.offer_from = offer_from
        self.next_offset = read_from
        self._records_bytes = 0
        self.forms.clear(room=self._limit)

    def is_hole_before(self, offset: Offset) -> bool:
        """Tell whether records are missing before ``offset`` that would have been shown."""
        assert self.next_offset is not None  # noqa: S101 - it has begun; told to the type checker
        return offset > max(self.next_offset, self.offer_from)

    def skip_to(self, offset: Offset) -> None:
        """Go on with record ``offset``: those that are missing before it do not exist.

        What repeats is known as before. Behind a hole what was kept is forgotten: nothing of it can be followed whole.
        """
        if self.is_hole_before(offset):
            repeats = self._repeats
            self.begin(offset, offset)
            self._repeats = repeats
        elif self.next_offset is not None:
            self.next_offset = max(self.next_offset, offset)

    def append(self, offset: Offset, value: bytes) -> Appended | Gap:
        """Take the next raw record, or the newest one again, which must be the same then."""
        stamp = stamp_of(value)
        if self._newest is not None and offset == self._newest[0]:
            return Appended() if stamp == self._newest[1] else Gap("recreated")
        if offset != self.next_offset:
            return Gap("interrupted")
        decoded_record, error = decoded(value)
        publications = decoded_record.publications
        fresh = self._repeats.first_seen(offset, publications)
        self._newest = (offset, stamp)
        self.next_offset = Offset(offset + 1)
        repeats = len(publications) - len(fresh)
        shown = fresh if offset >= self.offer_from else []
        record = Record(offset, stamp, self.head, publications, shown, window=decoded_record.window)
        if offset < self.offer_from:
            if offset == self.offer_from - 1:
                self._before = record.cursor(record.count)
            if fresh:
                self._shown_before = record.cursor(fresh[-1] + 1)
            return Appended(0, repeats, error)
        self._records.append(record)
        self._reads.clear()
        self.head = Position(self.head + len(fresh))
        self._records_bytes += record.size
        self._trim()
        return Appended(len(fresh), repeats, error)

    def read(self, position: Position, encoding: Encoding, limit: int) -> Chunk:
        """Join what follows ``position``: up to ``limit`` bytes, but at least one frame when there is one.

        ``position`` is not before :attr:`tail`.
        """
        wanted = Wanted(position, encoding, limit)
        chunk = self._reads.get(wanted)
        if chunk is None:
            chunk = self._join(position, encoding, limit)
            self._reads.keep(wanted, chunk)
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
        if cursor == self._before or self._has_missed_nothing(cursor):
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

    def _has_missed_nothing(self, cursor: Cursor) -> bool:
        """Tell whether all that is before :attr:`tail` and behind a cursor repeats something, and was never shown."""
        least = self._shown_before
        return (
            least is not None
            and (cursor.offset, cursor.stamp) == (least.offset, least.stamp)
            and cursor.place >= least.place
        )

    def _index(self, offset: Offset) -> int:
        """Where record ``offset`` is among those kept: negative before them, their number after them."""
        first = self._records[0].offset if self._records else self.offer_from
        return min(offset - first, len(self._records))

    def _record_of(self, position: Position) -> Record:
        # The last of those that begin there: the others show nothing.
        return self._records[bisect_right(self._records, position, key=_first) - 1]

    def _join(self, position: Position, encoding: Encoding, limit: int) -> Chunk:
        pieces: list[bytes] = []
        room, covered, posts = limit, 0, 0
        while position < self.head and room > 0:
            record = self._record_of(position)
            index = position - record.first
            begin, end = record.stream_of(index, encoding.stream_bytes) if encoding.stream_bytes else (index, index)
            covered += record.plain.ends[end] - record.plain.ends[begin]
            if pieces and covered > _COVERED * limit:
                break
            run = self.forms.run(record, encoding, index, (begin, end))
            ends = run.frames.ends
            stop = min(bisect_right(ends, ends[run.start] + room) - 1, run.stop)
            if pieces and (stop == run.start or (run.is_stream and stop < run.stop)):
                # A stream comes whole in the next read: whoever goes on in the middle of one gets more bytes.
                break
            stop = max(stop, run.start + 1)
            # A slice that is the whole is no copy: one record, one write, no joining.
            piece = run.frames.joined[ends[run.start] : ends[stop]]
            pieces.append(piece)
            position = Position(position + stop - run.start)
            posts += stop - run.start
            room -= len(piece)
            if stop < run.stop:
                break
        return Chunk(b"".join(pieces) if len(pieces) != 1 else pieces[0], position, posts)

    def _trim(self) -> None:
        gone = 0
        while self._records_bytes > self._records_limit and gone < len(self._records) - 1:
            record = self._records[gone]
            self._records_bytes -= record.size
            self._before = record.cursor(record.count)
            if record.places:
                self._shown_before = record.cursor(record.places[-1] + 1)
            gone += 1
        del self._records[:gone]
        self.forms.fit(self._limit - self._records_bytes)
