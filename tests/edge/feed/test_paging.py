"""Where pages begin and end."""

import json
from collections.abc import Generator
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.feed.joins import never
from edge.feed.log import Log
from edge.feed.paging import Extent, Leaf, page
from edge.feed.position import Cursor, Resume, before
from edge.feed.reads import Reading
from edge.feed.selection import Selection
from edge.wire.json_encoding import JSON, array
from streams.contract import Offset
from tests.edge.kit.records import cursor, log_of, publication, record

READING = Reading(JSON)
LARGE = Extent(1 << 20, 100)


def finished(slices: Generator[None, None, Leaf]) -> Leaf:
    """Make a page, slice by slice, of which there are not many here; return it."""
    for _ in range(1000):
        try:
            next(slices)
        except StopIteration as made:
            leaf = made.value
            assert isinstance(leaf, Leaf)
            return leaf
    raise AssertionError("it does not get on")


def whole(log: Log, start: Cursor, extent: Extent = LARGE) -> Leaf:
    """Make a page without a pause."""
    return finished(page(log, start, READING, extent, lambda: never))


def ids(leaf: Leaf) -> list[int]:
    """Name a page's posts."""
    return [message["payload"]["id"] for message in json.loads(array(leaf.pieces))]


def tail(log: Log) -> Cursor:
    """Return the cursor of the log's beginning."""
    return log.cursor_at(log.tail)


def test_a_page_ends_at_the_last_record_below_a_multiple() -> None:
    """So readers that began anywhere in the same hundred ask for the same page next."""
    values = [record(number) for number in range(25)]
    log = log_of(*values)
    ends = set()
    for index in range(10):
        leaf = whole(log, cursor(index, 1, values[index]) if index else tail(log), Extent(1 << 20, 10))
        assert ids(leaf) == list(range(index + 1 if index else 0, 20 if index == 9 else 10))
        assert leaf.is_full
        ends.add(leaf.end)
    assert ends == {cursor(9, 1, values[9]), cursor(19, 1, values[19])}


def test_the_newest_page_is_not_full() -> None:
    values = [record(number) for number in range(25)]
    log = log_of(*values)
    leaf = whole(log, cursor(19, 1, values[19]), Extent(1 << 20, 10))
    assert (ids(leaf), leaf.is_full, leaf.end) == ([20, 21, 22, 23, 24], False, cursor(24, 1, values[24]))
    assert whole(log, leaf.end) == Leaf(leaf.end, leaf.end, [], 0, is_full=False)


def test_a_page_of_all_records_below_a_multiple_is_full_though_nothing_follows() -> None:
    log = log_of(*(record(number) for number in range(10)))
    leaf = whole(log, tail(log), Extent(1 << 20, 10))
    assert (leaf.posts, leaf.is_full) == (10, True)


def test_a_page_passes_over_hundreds_that_show_nothing() -> None:
    """Else it would be empty, and say that more follows."""
    values = [record(1), *(record(1) for _ in range(20)), record(2), record(3)]
    log = log_of(*values)
    leaf = whole(log, cursor(0, 1, values[0]), Extent(1 << 20, 5))
    assert (ids(leaf), leaf.end, leaf.is_full) == ([2, 3], cursor(22, 1, values[22]), False)


def test_the_place_behind_records_that_show_nothing_moves_on() -> None:
    """A reader that is told to come back there does not fall out of the log."""
    values = [record(1), record(1), record(1)]
    log = log_of(*values)
    leaf = whole(log, cursor(0, 1, values[0]))
    assert (leaf.end, leaf.posts, leaf.is_full) == (cursor(2, 1, values[2]), 0, False)


@pytest.mark.parametrize("count", [1, 3, 9, 10])
def test_a_page_holds_as_many_posts_as_there_is_room_for(count: int) -> None:
    log = log_of(record(*(publication(number, text="x" * 50) for number in range(10))))
    each = len(b"".join(whole(log, tail(log)).pieces)) // 10
    for room in (count * each, (count + 1) * each - 1):
        leaf = whole(log, tail(log), Extent(room, 100))
        assert ids(leaf) == list(range(count))
        assert leaf.is_full is (count < 10)


def test_a_post_that_is_longer_than_a_page_is_one() -> None:
    """A reader gets on, and the next page does not hold it, too."""
    log = log_of(record(1, publication(2, text="x" * 1000), 3))
    first = whole(log, tail(log), Extent(500, 100))
    second = whole(log, first.end, Extent(500, 100))
    assert (ids(first), ids(second), second.is_full) == ([1], [2], True)


def test_a_page_is_made_in_slices_of_one_read_each() -> None:
    """No turn of the loop takes longer than a read, however long the page is."""
    log = log_of(*(record(publication(number, text="x" * 30_000)) for number in range(20)))
    slices = page(log, tail(log), READING, LARGE, lambda: never)
    made = log.encodings.made
    for _ in slices:
        assert log.encodings.made - made <= 3
        made = log.encodings.made
    assert made == 20


def test_a_page_ends_where_the_log_has_forgotten_what_follows() -> None:
    log = log_of(*(record(publication(number, text="x" * 40_000)) for number in range(5)), limit=1 << 19)
    slices = page(log, tail(log), READING, LARGE, lambda: never)
    next(slices)
    for number in range(5, 40):
        log.append(Offset(number), record(publication(number, text="x" * 40_000)))
    with pytest.raises(StopIteration) as made:
        next(slices)
    leaf = made.value.value
    assert ids(leaf) == list(range(leaf.posts))
    assert 0 < leaf.posts < 5
    assert not leaf.is_full


def test_a_page_ends_before_a_hole() -> None:
    """What follows its end is a gap, and the next request says so."""
    log = log_of(*(record(publication(number, text="x" * 40_000)) for number in range(5)))
    slices = page(log, tail(log), READING, LARGE, lambda: never)
    next(slices)
    log.skip_to(Offset(7))
    log.append(Offset(7), record(7))
    with pytest.raises(StopIteration) as made:
        next(slices)
    leaf = made.value.value
    assert 0 < leaf.posts < 5
    assert not leaf.is_full
    assert not isinstance(log.resume(leaf.end), Resume)


def test_a_page_of_a_log_that_has_begun_nowhere_is_empty() -> None:
    log = Log(limit=1 << 20, reach=0)
    log.begin(Offset(5), Offset(5))
    assert whole(log, before(Offset(5))) == Leaf(before(Offset(5)), before(Offset(5)), [], 0, is_full=False)


@given(
    st.lists(st.lists(st.integers(0, 30), max_size=5), max_size=30),
    st.integers(1, 600),
    st.integers(1, 7),
    st.integers(0, 29),
)
def test_pages_from_anywhere_hold_every_post_once_and_in_order(
    records: list[list[int]], size: int, hundred: int, begin: int
) -> None:
    """Full pages stay what they are as the log grows, and each end is the one place of its spelling."""
    extent, values = Extent(size, hundred), [record(*dict.fromkeys(each)) for each in records]
    log, grown = log_of(*values[: len(values) // 2]), log_of(*values)
    expected, seen = [id_ for leaf in pages(grown, tail(grown), LARGE) for id_ in ids(leaf)], []
    for leaf in pages(grown, tail(grown), extent):
        seen += ids(leaf)
    assert seen == expected
    for leaf in pages(log, tail(log), extent):
        if leaf.is_full:
            assert whole(grown, leaf.start, extent) == leaf
    if begin < len(values) and records[begin]:
        start = grown.cursor_at(grown.position_at(Offset(begin)))
        rest = [id_ for leaf in pages(grown, start, extent) for id_ in ids(leaf)]
        assert rest == expected[len(expected) - len(rest) :]


def pages(log: Log, start: Cursor, extent: Extent) -> list[Leaf]:
    """Return the pages that a reader gets, one after the other, until nothing follows."""
    read = [whole(log, start, extent)]
    while read[-1].end != log.cursor_at(log.head):
        assert str(read[-1].start) < str(read[-1].end)
        read.append(whole(log, read[-1].end, extent))
    return read


def chosen(log: Log, start: Cursor, extent: Extent, *authors: int) -> Leaf:
    """Make the page of some authors' posts, in slices that are always late."""
    return finished(page(log, start, Reading(JSON, Selection(authors)), extent, lambda: lambda: True))


def test_a_page_of_some_authors_has_their_posts_alone_and_ends_where_all_pages_do() -> None:
    values = [record(publication(number, author=number % 3)) for number in range(25)]
    log = log_of(*values)
    leaf = chosen(log, cursor(4, 1, values[4]), Extent(1 << 20, 10), 0, 7)
    assert (ids(leaf), leaf.end, leaf.is_full) == ([6, 9], cursor(9, 1, values[9]), True)
    leaf = chosen(log, cursor(19, 1, values[19]), Extent(1 << 20, 10), 0)
    assert (ids(leaf), leaf.end, leaf.is_full) == ([21, 24], cursor(24, 1, values[24]), False)
    leaf = chosen(log, cursor(4, 1, values[4]), Extent(1, 10), 0)
    assert (ids(leaf), leaf.end, leaf.is_full) == ([6], cursor(6, 1, values[6]), True)


@given(
    st.lists(st.lists(st.integers(0, 300), max_size=4), min_size=1, max_size=30),
    st.integers(1, 600),
    st.integers(1, 7),
    st.frozensets(st.integers(0, 2), min_size=1),
    st.lists(st.booleans(), min_size=1, max_size=20),
)
def test_a_full_page_is_the_same_however_much_time_its_slices_had(
    records: list[list[int]], size: int, hundred: int, authors: frozenset[int], late: list[bool]
) -> None:
    """Other edges make it too, and caches keep it for a year."""
    made = [[publication(id_, author=id_ % 3) for id_ in dict.fromkeys(each)] for each in records]
    log, is_late = log_of(*(record(*each) for each in made)), cycle(late)
    for reading in (READING, Reading(JSON, Selection(tuple(sorted(authors))))):
        start = tail(log)
        while True:
            leaf = finished(page(log, start, reading, Extent(size, hundred), lambda: lambda: False))
            if not leaf.is_full:
                break
            again = finished(page(log, start, reading, Extent(size, hundred), lambda: lambda: next(is_late)))
            assert (again.end, ids(again)) == (leaf.end, ids(leaf))
            start = leaf.end


def test_a_page_without_a_post_ends_after_some_records_and_moves_on() -> None:
    """What a request costs is bounded, and its reader does not stand still."""
    values = [record(publication(number, author=1)) for number in range(25)]
    log = log_of(*values)
    leaf = chosen(log, tail(log), Extent(1 << 20, 2), 2)
    assert (ids(leaf), leaf.end, leaf.is_full) == ([], cursor(19, 1, values[19]), True)
    leaf = chosen(log, leaf.end, Extent(1 << 20, 2), 2)
    assert (ids(leaf), leaf.end, leaf.is_full) == ([], cursor(24, 1, values[24]), False)


def read_and_not_kept(*values: bytes, offer_from: int) -> Log:
    """Make a log that has only read what comes before a record."""
    log = Log(limit=1 << 20, reach=1000)
    log.begin(Offset(0), Offset(offer_from))
    for offset, value in enumerate(values):
        log.append(Offset(offset), value)
    return log


def test_a_page_gets_on_where_the_log_begins_at_a_multiple_behind_repeats_that_it_does_not_keep() -> None:
    """Between the oldest place and the first record that is kept there is nothing: the page goes on behind it."""
    values = [*(record(1) for _ in range(10)), record(2)]
    log = read_and_not_kept(*values, offer_from=10)
    assert tail(log) == cursor(0, 1, values[0])
    leaf = whole(log, tail(log), Extent(1 << 20, 10))
    assert (ids(leaf), leaf.end, leaf.is_full) == ([2], cursor(10, 1, values[10]), False)


@pytest.mark.parametrize("reading", [READING, Reading(JSON, Selection([2]))], ids=["everything", "a selection"])
def test_a_page_of_a_log_that_keeps_nothing_yet_is_empty_wherever_multiples_are(reading: Reading) -> None:
    """It ends where the log does, behind repeats that fill more than a page."""
    values = [record(1) for _ in range(12)]
    log = read_and_not_kept(*values, offer_from=12)
    leaf = finished(page(log, tail(log), reading, Extent(1 << 20, 10), lambda: never))
    assert leaf == Leaf(cursor(0, 1, values[0]), cursor(11, 1, values[11]), [], 0, is_full=False)
