"""The recent feed as messages, kept once and encoded once for all clients.

Laws:

* Every client is a position in the feed, and :meth:`Log.read` is all that is ever sent to it. The log keeps messages;
  an encoding makes bytes of them, once for all.
* Every raw record is kept, also one that shows nothing, so that there is a cursor at any time.
* ``size`` never exceeds ``limit``, but for the newest record and what the table of repeats has beyond a quarter of
  it. The oldest records go first, whole, and leave a part of the room to what is made of records: joined reads and
  encodings. These are made when somebody needs them and never push a record out, since they can be made again.
* What a read gives is decided by the log and its arguments alone, so that it can be read by all clients at one
  position. Where it begins in the middle of a stream it gives the rest of that stream as messages that stand alone.
* A read encodes one stretch of messages anew, or several that are not longer together than a stretch may be, and ends
  there: so no read takes more than some 2 ms. Where a read ends depends on what was encoded before.
* What is shown depends on the raw records alone (see :mod:`edge.feed.repeats`).

This module knows neither clients nor Kafka, no transport, and no time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from edge.feed.encodings import Encodings, divided
from edge.feed.joins import Back, never
from edge.feed.lead import Lead
from edge.feed.position import Ahead, Cursor, Gap, Position, Resume, first_behind, stamp_of
from edge.feed.reads import Chunk, Reading, Wanted
from edge.feed.record import Record, decoded
from edge.feed.renderings import Renderings
from edge.feed.repeats import DAY, NO_TIME, Repeats, growth
from edge.feed.retained import Retained, Shown
from edge.feed.selection import Authors, Selection
from streams.contract import Millis, Offset

# What a record costs at most, beside the bytes of its value, and what each of its posts does in its tables.
_RECORD_BYTES: Final = 4_000
_POST_BYTES: Final = 20
# What each of its publications has; more of them are only counted too often.
_POST: Final = b'"action"'


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a record: so many posts are shown, so many were repeats; ``error`` says why none could be."""

    shown: int = 0
    repeats: int = 0
    error: str | None = None


class Log:
    """Append raw records; read encoded messages from any position that is still there.

    ``limit`` is in bytes; a post counts as a repeat ``reach`` records back and ``age`` ms, whichever is less.
    """

    def __init__(self, *, limit: int, reach: int, age: Millis = DAY) -> None:
        self._made = Renderings(limit)
        self._reach, self._age = reach, age
        self._repeats = Repeats(reach, age)
        self._kept = Retained(Offset(0))
        self._newest: tuple[Offset, bytes] | None = None
        self._lead = Lead(Offset(0), Offset(0))
        self.next_offset: Offset | None = None
        """The record that is read next, or None before the first :meth:`begin`."""

    @property
    def size(self) -> int:
        """What the log costs in memory, in bytes: records, encodings, joined reads and the table of repeats."""
        return self._kept.size + self._made.size + self._repeats.size

    @property
    def encodings(self) -> Encodings:
        """What encodings have made of its records."""
        return self._made.encodings

    @property
    def posts(self) -> int:
        """How many posts are in the log."""
        return self._kept.posts

    @property
    def kept(self) -> Retained:
        """The records that are kept."""
        return self._kept

    def room(self, value: bytes | None = None) -> int:
        """Return how many bytes kept records may take: now, or at least beside a raw record once that is appended."""
        if value is None:
            return divided(self._made.rest, self._repeats.size).records
        posts = value.count(_POST)
        record = len(value) + _RECORD_BYTES + _POST_BYTES * posts
        return divided(self._made.rest, self._repeats.size + growth(posts)).records - record

    def shown(self) -> Iterator[Shown]:
        """Yield what the records show, the newest first; nothing may be appended meanwhile."""
        return self._kept.by_record()

    @property
    def offer_from(self) -> Offset:
        """The first record that is shown; it may become an earlier one until the log :attr:`shows_what_comes`."""
        return self._lead.offer_from

    @property
    def shows_what_comes(self) -> bool:
        """Whether all records before the first that is shown have been read."""
        return self.next_offset is not None and self.next_offset >= self.offer_from

    @property
    def tail(self) -> Position:
        """The oldest position that can still be read."""
        return self._kept.tail.position

    @property
    def start(self) -> Position:
        """The position before the first record that is shown; it is final once the log :attr:`shows_what_comes`."""
        return self._lead.passed.position

    @property
    def head(self) -> Position:
        """The position after everything that was read."""
        return self._kept.head.position

    def begin(self, read_from: Offset, offer_from: Offset, earliest: Offset | None = None) -> None:
        """Begin anew: expect ``read_from`` next, and show what comes from ``offer_from`` on.

        From ``earliest`` on (unless told, ``offer_from``) already, if by then all is read that may make repeats.
        Positions may be smaller from then on than before, in a topic that was made anew.
        """
        self._repeats = Repeats(self._reach, self._age)
        self._kept = Retained(offer_from)
        self._made.clear()
        self._lead = Lead(offer_from, offer_from if earliest is None else earliest)
        self._newest = None
        self.next_offset = read_from

    @property
    def reads_on_from(self) -> Offset | None:
        """The newest record that was read, to see that it is the same still; where there is none, the next."""
        return self.next_offset if self._newest is None else self._newest[0]

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
        elif self.next_offset is not None and offset > self.next_offset:
            self._go_on_at(offset)

    def append(self, offset: Offset, value: bytes, timestamp: Millis = NO_TIME) -> Appended | Gap:
        """Take the next raw record, or the newest one again, which must be the same then; ``timestamp`` is Kafka's."""
        stamp = stamp_of(value)
        if self._newest is not None and offset == self._newest[0]:
            return Appended() if stamp == self._newest[1] else Gap("recreated")
        if offset != self.next_offset:
            return Gap("interrupted")
        record, error = decoded(value)
        publications = record.publications
        if self._lead.ends_before(offset, has_read_enough=self._repeats.has_read_enough(timestamp)):
            self._kept = Retained(offset)
            self._begin_to_show()
        fresh = self._repeats.first_seen(offset, publications, timestamp)
        self._newest = (offset, stamp)
        repeats = len(publications) - len(fresh)
        if offset < self.offer_from:
            self._lead.note(offset, len(publications), stamp, is_new=bool(fresh))
            self._go_on_at(Offset(offset + 1))
            return Appended(0, repeats, error)
        self.next_offset = Offset(offset + 1)
        before_it = self._kept.shown
        self._kept.append(
            Record(offset, stamp, self.head, publications, fresh, shown_before=before_it, window=record.window)
        )
        self._made.forget_reads()
        room = divided(self._made.rest, self._repeats.size)
        self._kept.trim(room.records)
        self._made.fit(self._kept, room.all - self._kept.size)
        return Appended(len(fresh), repeats, error)

    def read(
        self,
        position: Position,
        reading: Reading,
        limit: int,
        is_late: Callable[[], bool] = never,
        until: Offset | None = None,
    ) -> Chunk:
        """Join what follows ``position`` and is selected: up to ``limit`` bytes, or a single message.

        Records from ``until`` on are left out. ``position`` is not before :attr:`tail`. No bytes are returned where no
        post follows that is selected; nor where it ``is_late`` before one was found, and then the read ends there.
        """
        return self._made.read(self._kept, Wanted(position, reading, limit, until), is_late)

    def back(self, position: Position, posts: int) -> Position:
        """Return the position before the last so many posts that were shown before ``position``; at most the tail."""
        return self._kept.back(position, posts)

    def look_back(self, start: Back, selection: Selection, is_late: Callable[[], bool] = never) -> Back:
        """Do the same for posts that are selected, until it is late: what is missing then is to be looked for again."""
        return self._made.look_back(self._kept, start, selection, is_late)

    def authors_after(self, position: Position) -> Authors | None:
        """Return the authors of the posts of the next record that shows any; None when no post follows."""
        return self._kept.authors_after(position)

    def position_at(self, offset: Offset) -> Position:
        """Return the position before record ``offset``, as far as the log has it: else the tail or the head."""
        return self._kept.position_at(offset)

    def cursor_at(self, position: Position) -> Cursor:
        """Return the cursor of a position that the log gave, which is not before :attr:`tail`."""
        return self._kept.cursor_at(position)

    def records_behind(self, position: Position) -> int:
        """Count the records of which something is behind a position, as far as they are kept, or all; 0 at the head."""
        if self.next_offset is not None and position < self.tail:
            return self.next_offset - first_behind(position)
        return 0 if position >= self.head else self._kept.records_behind(position)

    def resume(self, cursor: Cursor) -> Resume | Ahead | Gap:
        """Find where a client goes on that has seen everything up to ``cursor``."""
        needed = first_behind(cursor.position)
        if self.next_offset is None or (needed > self.next_offset and cursor != self._kept.head):
            return Ahead(needed)
        found = self._kept.find(cursor)
        return found if isinstance(found, Gap) else Resume(found)

    def _go_on_at(self, offset: Offset) -> None:
        """Expect a later record next; what comes before the first that is shown may be at its end."""
        did_show = self.shows_what_comes
        self.next_offset = offset
        if self.shows_what_comes and not did_show:
            self._begin_to_show()

    def _begin_to_show(self) -> None:
        self._kept.start(head=self._lead.passed, tail=self._lead.passed_new)
        self._made.forget_reads()
