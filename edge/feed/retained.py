"""The records that the log keeps, in the feed's order: found by position, by offset and by a number of posts.

Laws:

* The offsets of kept records are consecutive.
* ``tail`` is the oldest position from which nothing is missing: the place after the last forgotten record that showed
  something. Between it and the first kept record there are only repeats.
* Each position that is given out is the one of its place, and has one cursor: equal positions have equal tokens.
* To find anything takes a search by halves, however many records are kept.

This module knows no encodings and no bytes of any transport.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import attrgetter
from typing import Final, NamedTuple

from edge.feed.position import NO_STAMP, Cursor, Gap, Position, before, place_of
from edge.feed.record import Record
from edge.feed.selection import Authors
from streams.contract import Millis, Offset

_shown_before: Final = attrgetter("shown_before")


class Shown(NamedTuple):
    """How many posts a record shows, and when their window began (ms)."""

    window: int
    posts: int


class Retained:
    """Kept records; what comes before record ``offer_from`` is passed, and not kept."""

    def __init__(self, offer_from: Offset) -> None:
        self._offer_from = offer_from
        self.records: list[Record] = []
        self.size = 0
        """What they cost in memory, in bytes."""
        self.tail = before(offer_from)
        self.head = before(offer_from)
        """The cursor of the place after the newest record."""
        # That of the place after the newest record that is not kept.
        self._before = before(offer_from)
        self.shown = 0
        """How many posts the records have shown, those included that are kept no more."""

    @property
    def posts(self) -> int:
        """How many posts are kept."""
        return self.shown - self.records[0].shown_before if self.records else 0

    def by_record(self) -> Iterator[Shown]:
        """Yield what the kept records show, the newest first."""
        return (Shown(record.window, len(record.places)) for record in reversed(self.records))

    def start(self, head: Cursor, tail: Cursor) -> None:
        """Begin behind records that were only read; behind ``tail`` none of them would have shown anything."""
        self.head = self._before = head
        self.tail = tail

    def append(self, record: Record) -> None:
        """Keep the next record."""
        self.records.append(record)
        self.size += record.size
        self.shown += len(record.places)
        self.head = self._behind(record, self.head)

    def trim(self, limit: int) -> None:
        """Forget the oldest records until they cost ``limit`` bytes at most; the newest one is always kept."""
        gone = 0
        while self.size > limit and gone < len(self.records) - 1:
            self._let_go(self.records[gone])
            gone += 1
        del self.records[:gone]

    def tail_after(self, limit: int) -> Position:
        """Return what the tail is once another record is appended and these are trimmed to ``limit`` bytes."""
        size, tail = self.size, self.tail.position
        for record in self.records:
            if size <= limit:
                break
            size -= record.size
            tail = record.end if record.places else tail
        return tail

    @property
    def middle(self) -> Position:
        """The position before the newer half of the kept records."""
        return self.records[len(self.records) // 2].begin if self.records else self.head.position

    def forget(self, position: Position) -> None:
        """Forget the records that are before a position as a whole; the newest one is always kept."""
        gone = 0
        while gone < len(self.records) - 1 and self.records[gone].end <= position:
            self._let_go(self.records[gone])
            gone += 1
        del self.records[:gone]

    def has(self, position: Position) -> bool:
        """Tell whether a position that any log has given is one of these records, and what follows it is here."""
        if position in (self.head.position, self._before.position, self.tail.position):
            return True
        offset, _ = place_of(position)
        return self.tail.position < position < self.head.position and self._number(offset) >= 0

    def locate(self, position: Position) -> tuple[int, int]:
        """Return which kept record a position is in, and how many of that record's posts are before it.

        It is the oldest where the position is before all of them; their number where it is after all of them. The
        position is not before ``tail``.
        """
        offset, _ = place_of(position)
        number = self._number(offset)
        if number < 0:
            return 0, 0
        if number == len(self.records):
            return number, 0
        return number, self.records[number].posts_before(position)

    def authors_after(self, position: Position) -> Authors | None:
        """Return the authors of the next kept record that has posts after a position; None when no post follows.

        They are those of all of its posts where the position is before the record, and else of the rest.
        """
        number = self.posts_before(position)
        if number == self.shown:
            return None
        record, post = self.post(number)
        return Authors(record.authors[post:], record.end)

    def window_after(self, position: Position) -> Millis | None:
        """Return the window of the next post that is kept behind a position; None when none follows."""
        number = self.posts_before(max(position, self.tail.position))
        return None if number == self.shown else Millis(self.post(number)[0].window)

    def posts_before(self, position: Position) -> int:
        """Return how many posts were shown before a position, those included that are kept no more: its number."""
        number, post = self.locate(position)
        return self.records[number].shown_before + post if number < len(self.records) else self.shown

    def shown_before(self, offset: Offset) -> int:
        """Return how many posts were shown before record ``offset``, as far as it is kept."""
        number = max(0, self._number(offset))
        return self.records[number].shown_before if number < len(self.records) else self.shown

    def post(self, number: int) -> tuple[Record, int]:
        """Return the kept record that has the post of a number, and how many of its posts are before that."""
        record = self.records[bisect_right(self.records, number, key=_shown_before) - 1]
        return record, number - record.shown_before

    def authors_between(self, begin: int, end: int) -> Iterator["array[int]"]:
        """Yield the authors of the kept posts from number ``begin`` to ``end`` (excluded), record by record."""
        first = max(0, bisect_right(self.records, begin, key=_shown_before) - 1)
        last = bisect_left(self.records, end, key=_shown_before)
        for number in range(first, last):
            record = self.records[number]
            yield record.authors[max(0, begin - record.shown_before) : end - record.shown_before]

    def records_behind(self, position: Position) -> int:
        """Count the kept records of which something is behind a position."""
        number, posts = self.locate(position)
        is_whole = number < len(self.records) and posts == len(self.records[number].places)
        return len(self.records) - number - is_whole

    def position_at(self, offset: Offset) -> Position:
        """Return the position before record ``offset``, as far as it is kept: else the tail or the head."""
        number = self._number(offset)
        if number < 0:
            return self.tail.position
        return self.records[number].begin if number < len(self.records) else self.head.position

    def back(self, position: Position, posts: int) -> Position:
        """Return the position before the last so many posts that were shown before ``position``; at most the tail."""
        if posts == 0:
            return position
        number, index = self.locate(position)
        shown = self.records[number].shown_before if number < len(self.records) else self.shown
        wanted = shown + index - posts
        number = bisect_left(self.records, wanted, key=_shown_before) - 1
        if number < 0:
            return self.tail.position
        record = self.records[number]
        return record.position(wanted - record.shown_before)

    def cursor_at(self, position: Position) -> Cursor:
        """Return the cursor of a position that was given out and is not before the tail.

        It is that of the tail where the record is kept no more: nothing is shown between the two.
        """
        known = next((one for one in (self.head, self._before, self.tail) if one.position == position), None)
        if known is not None:
            return known
        offset, index = place_of(position)
        number = self._number(offset)
        if number < 0:
            # In a record that is forgotten and showed nothing, behind the last of these that did.
            return self.tail
        return Cursor(position, self.records[number].stamp if index else NO_STAMP)

    def find(self, cursor: Cursor) -> Position | Gap:
        """Return the position of a cursor whose record was read, or why what follows it cannot be replayed whole."""
        if cursor in (self.head, self._before, self.tail):
            return cursor.position
        offset, index = place_of(cursor.position)
        if self._number(offset) < 0:
            return Gap("expired")
        if not index:
            return self.position_at(offset)
        record = self.records[self._number(offset)]
        if cursor.stamp != record.stamp:
            return Gap("recreated")
        if cursor.position >= record.end:
            return record.end
        return record.position(record.posts_before(cursor.position))

    def _let_go(self, record: Record) -> None:
        """Note that the oldest record is kept no more."""
        self.size -= record.size
        self._before = self._behind(record, self._before)
        if record.places:
            self.tail = self._before

    def _behind(self, record: Record, cursor: Cursor) -> Cursor:
        if record.end == record.begin:
            return cursor
        # Behind a record without publications, where none is known before it either, as behind a hole, is the place
        # before the next record. So a log calls it that begins there, and there is one cursor for it.
        _, index = place_of(record.end)
        return Cursor(record.end, record.stamp) if index else before(Offset(record.offset + 1))

    def _number(self, offset: Offset) -> int:
        """Return where record ``offset`` is among those kept: negative before them, their number after them."""
        first = self.records[0].offset if self.records else self._offer_from
        return min(offset - first, len(self.records))
