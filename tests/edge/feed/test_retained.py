"""Kept records, found by position, by offset and by a number of posts."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge.feed.position import Cursor, Gap, Position, before
from edge.feed.record import Record
from edge.feed.retained import Retained
from edge.feed.selection import NO_AUTHOR, Authors
from streams.contract import Millis, Offset
from tests.edge.kit.records import at, publication

# For each record how many publications it has, and which of them it shows.
shapes = st.lists(st.tuples(st.integers(0, 4), st.sets(st.integers(0, 3))), min_size=1, max_size=12)


def add(kept: Retained, offset: int, size: int, shown: set[int]) -> Record:
    """Keep one record more."""
    record = Record(
        Offset(offset),
        offset.to_bytes(8),
        kept.head.position,
        [publication(n) for n in range(size)],
        sorted(one for one in shown if one < size),
        shown_before=kept.shown,
    )
    kept.append(record)
    return record


def retained(shape: list[tuple[int, set[int]]], first: int = 5) -> tuple[Retained, list[Position]]:
    """Keep records; return them and the positions before each post and behind the last one that is shown."""
    kept, places = Retained(Offset(first)), list[Position]()
    for offset, (size, shown) in enumerate(shape, first):
        record = add(kept, offset, size, shown)
        places += [record.position(post) for post in range(len(record.places))]
    return kept, places


@given(shapes)
def test_a_position_is_found_by_the_posts_behind_it(shape: list[tuple[int, set[int]]]) -> None:
    """Counted from the head they lead there, and from there on they follow."""
    kept, places = retained(shape)
    total = len(places)
    for post, place in enumerate(places):
        number, index = kept.locate(place)
        before_it = sum(len(record.places) for record in kept.records[:number]) + index
        assert before_it == post
        back = kept.back(kept.head.position, total - post)
        assert kept.locate(back)[0] <= number
        assert bisect_left(places, back) <= post
    assert kept.back(kept.head.position, total + 1) == kept.tail.position == at(5, 0)


@given(shapes, st.integers(1, 4000))
def test_nothing_is_missing_behind_the_tail(shape: list[tuple[int, set[int]]], limit: int) -> None:
    """It moves with records that showed something, and its cursor is known; what is before it has expired."""
    kept, _ = retained(shape)
    before_it = list(kept.records)
    kept.trim(limit)
    assert kept.size <= limit or len(kept.records) == 1
    gone = before_it[: len(before_it) - len(kept.records)]
    showing = [record for record in gone if record.places]
    assert kept.tail == (Cursor(showing[-1].end, showing[-1].stamp) if showing else before(Offset(5)))
    assert kept.cursor_at(kept.tail.position) == kept.tail
    assert kept.find(kept.tail) == kept.tail.position
    if len(showing) > 1:
        assert kept.find(Cursor(showing[-2].end, showing[-2].stamp)) == Gap("expired")
    assert kept.locate(kept.tail.position) == (0, 0)


def test_cursors_are_found_and_told_apart() -> None:
    """By the stamp of their record; what is between two posts that are shown is the place before the next."""
    kept, _ = retained([(4, {1, 2}), (0, set()), (2, set()), (3, {0})])
    stamp = (5).to_bytes(8)
    assert [kept.find(Cursor(at(5, index), stamp)) for index in (1, 2, 3, 4, 9)] == [
        at(5, 0),
        at(5, 2),
        at(5, 4),
        at(5, 4),
        at(5, 4),
    ]
    assert kept.find(Cursor(at(5, 2), b"another.")) == Gap("recreated")
    assert [kept.find(before(Offset(offset))) for offset in (4, 5, 6, 7, 8, 9)] == [
        Gap("expired"),
        at(5, 0),
        at(5, 4),
        at(5, 4),
        at(7, 2),
        at(8, 3),
    ]
    assert kept.cursor_at(at(7, 2)) == Cursor(at(7, 2), (7).to_bytes(8))


def test_a_place_in_a_forgotten_record_that_showed_nothing_has_the_cursor_of_the_tail() -> None:
    """No post is between the two, so that nothing is missing and nothing comes twice."""
    kept, _ = retained([(1, {0}), (1, set()), (1, set()), (1, set()), (1, {0}), (1, {0})])
    kept.forget(at(8, 1))
    assert (kept.tail.position, kept.locate(at(6, 1))) == (at(5, 1), (0, 0))
    assert kept.cursor_at(at(6, 1)) == kept.tail == Cursor(at(5, 1), (5).to_bytes(8))


def test_what_was_only_read_is_before_the_tail() -> None:
    """The head is behind all of it, the tail behind what had new posts."""
    kept = Retained(Offset(9))
    head, tail = Cursor(at(8, 3), b"newest.."), Cursor(at(6, 2), b"new.....")
    kept.start(head, tail)
    assert (kept.head, kept.tail) == (head, tail)
    assert [kept.find(cursor) for cursor in (head, tail)] == [head.position, tail.position]
    assert kept.back(head.position, 1) == tail.position
    add(kept, 9, 1, {0})
    assert [kept.locate(cursor.position) for cursor in (tail, head, kept.head)] == [(0, 0), (0, 0), (0, 1)]
    assert kept.cursor_at(head.position) == head


@given(shapes, st.integers(0, 12))
def test_what_is_forgotten_is_before_a_position(shape: list[tuple[int, set[int]]], number: int) -> None:
    """Whole records, but for the newest; the tail is where it would be after trimming to as much."""
    kept, places = retained(shape)
    other, _ = retained(shape)
    place = places[number % len(places)] if places else kept.head.position
    kept.forget(place)
    other.trim(kept.size)
    assert (kept.tail, kept.records[0].offset) == (other.tail, other.records[0].offset)
    assert kept.tail.position <= place
    assert all(record.end > place for record in kept.records[:-1][:1])


@given(shapes, st.integers(0, 12_000))
def test_where_the_tail_will_be_is_known_before(shape: list[tuple[int, set[int]]], limit: int) -> None:
    """When a record is appended, and what is before it is trimmed to make room."""
    kept, _ = retained(shape)
    told = kept.tail_after(limit)
    record = add(kept, 5 + len(shape), 1, {0})
    kept.trim(limit + record.size)
    assert kept.tail.position == told


@given(shapes)
def test_a_position_of_another_log_is_here_or_not(shape: list[tuple[int, set[int]]]) -> None:
    """From the tail to the head; the middle is one of them."""
    kept, places = retained(shape)
    assert all(kept.has(place) for place in (*places, kept.head.position, kept.tail.position, kept.middle))
    assert not kept.has(Position(kept.head.position + 1))
    assert not kept.has(Position(kept.tail.position - 1))
    assert Retained(Offset(5)).middle == before(Offset(5)).position


def test_the_authors_of_what_follows_are_told_record_by_record() -> None:
    """Those of the rest of a record, or of the next one that has posts."""
    kept = Retained(Offset(0))
    records: list[list[int | None]] = [[5, 6, None], [], [7]]
    for offset, authors in enumerate(records):
        posts = [publication(n, author=author) for n, author in enumerate(authors or [5])]
        shown = range(len(authors))
        kept.append(Record(Offset(offset), b"stampsta", kept.head.position, posts, shown, shown_before=kept.shown))
    first, second = kept.authors_after(kept.tail.position), kept.authors_after(at(0, 1))
    assert first == (array("q", [5, 6, NO_AUTHOR]), at(0, 3))
    assert second == (array("q", [6, NO_AUTHOR]), at(0, 3))
    assert [kept.authors_after(place) for place in (at(0, 3), at(1, 1))] == [(array("q", [7]), at(2, 1))] * 2
    assert kept.authors_after(kept.head.position) is None


@given(shapes, st.integers(0, 4000))
def test_the_authors_that_follow_are_those_of_the_next_record_that_shows_any(
    shape: list[tuple[int, set[int]]], limit: int
) -> None:
    """As a look at one record after the other finds them, from every position, whatever is forgotten."""
    kept, _ = retained(shape)
    kept.trim(limit)
    for record in kept.records:
        for post in range(len(record.places) + 1):
            position = record.position(post)
            expected = next(following(kept, position), None)
            assert kept.authors_after(position) == expected


def following(kept: Retained, position: Position) -> Iterator[Authors]:
    """Look at one record after the other."""
    number, post = kept.locate(position)
    for record in kept.records[number:]:
        if post < len(record.authors):
            yield Authors(record.authors[post:], record.end)
        post = 0


class Counted(list[Record]):
    """Records of which it is counted how many are looked at; nobody may go through all of them."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        self.looks += 1
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[Record]:
        raise AssertionError("all were looked at")


def test_however_many_records_are_kept_few_are_looked_at() -> None:
    """Matching goes on from record to record, and readers with filters from block to block."""
    kept, places = retained([(1, {0})] * 4096)
    kept.records = counted = Counted(kept.records)
    assert kept.authors_after(places[4000]) == Authors(array("q", [NO_AUTHOR]), kept.records[4000].end)
    assert len(list(kept.authors_between(4000, 4003))) == 3
    assert counted.looks < 150


@given(shapes)
def test_the_window_of_the_next_post_is_that_of_its_record(shape: list[tuple[int, set[int]]]) -> None:
    """Wherever one looks from; None where no post follows, and the oldest that is kept from before the tail."""
    kept, _ = retained(shape)
    windows = {}
    for number, record in enumerate(kept.records):
        record.window = windows[record.offset] = Millis(1000 * number)
    places = [(record.position(post), record) for record in kept.records for post in range(len(record.places))]
    for place, record in places:
        assert kept.window_after(place) == windows[record.offset]
    assert kept.window_after(kept.head.position) is None
    assert kept.window_after(Position(0)) == (windows[places[0][1].offset] if places else None)
