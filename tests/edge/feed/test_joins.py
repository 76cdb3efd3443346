"""What is read from the log, by readers that select; what all others read is told by the log's own tests."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.feed.joins import Back
from edge.feed.log import Log
from edge.feed.position import Position
from edge.feed.postings import Postings
from edge.feed.reads import Reading
from edge.feed.selection import Selection
from edge.wire.encoding import Encoding
from edge.wire.websocket_encodings import ENCODINGS, PLAIN, PLAIN_DEFLATED
from streams.contract import Offset
from tests.edge.kit.records import at, ids, log_of, messages, publication, record

AUTHORS = (None, 1, 2, 3)
feeds = st.lists(st.lists(st.sampled_from(AUTHORS), max_size=5), max_size=8)
selections = st.frozensets(st.integers(1, 4))


def feed_of(feed: list[list[int | None]], text: str = "", *, again: bool = False) -> tuple[Log, list[int | None]]:
    """Make a log of records whose posts have these authors; return the authors of all of them, too.

    ``again``: each record has the first post again, if there was one.
    """
    authors = [author for some in feed for author in some]
    number, values = 0, []
    for some in feed:
        made = [publication(number + n, text=text, author=author) for n, author in enumerate(some)]
        values.append(record(*made, *([0] if again and number else [])))
        number += len(some)
    log = log_of(*values)
    # So small that there are several.
    log._made._postings = Postings(1 << 16, block=4)  # noqa: SLF001 - what a real block needs is thousands of posts
    return log, authors


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(feed=feeds, wanted=selections, limit=st.integers(1, 300), hurried=st.booleans())
def test_a_reader_gets_what_it_has_selected_in_order_and_once(
    feed: list[list[int | None]], wanted: frozenset[int], limit: int, hurried: bool, encoding: Encoding
) -> None:
    """However little it takes at a time, and however late it always is."""
    log, authors = feed_of(feed)
    got: list[int] = []
    place, reading = log.tail, Reading(encoding, Selection(wanted))
    while place < log.head:
        chunk = log.read(place, reading, limit, lambda: hurried)
        assert chunk.position > place
        assert len(messages(chunk.data, encoding)) == chunk.posts
        assert len(chunk.data) <= limit or chunk.posts == 1
        assert not hurried or chunk.posts <= 1
        got += ids(chunk.data, encoding)
        place = chunk.position
    assert got == [number for number, author in enumerate(authors) if author in wanted]


@given(feed=feeds, wanted=selections, posts=st.integers(0, 9), end=st.integers(0, 8), hurried=st.booleans())
def test_the_last_posts_that_a_reader_would_see_are_found(
    feed: list[list[int | None]], wanted: frozenset[int], posts: int, end: int, hurried: bool
) -> None:
    """So many of those before a place, or all that there are."""
    log, authors = feed_of(feed)
    until = min(end, len(feed))
    place = log.head if until == len(feed) else at(until, 0)
    before = sum(map(len, feed[:until]))
    matching = [number for number, author in enumerate(authors) if author in wanted]
    looked = Back(place, posts)
    while looked.missing:
        looked = log.look_back(looked, Selection(wanted), lambda: hurried)
    begin = looked.position
    got, reading = [], Reading(PLAIN, Selection(wanted))
    while begin < log.head:
        chunk = log.read(begin, reading, 1 << 16)
        got += ids(chunk.data)
        begin = chunk.position
    earlier = [number for number in matching if number < before]
    assert got == earlier[len(earlier) - min(posts, len(earlier)) :] + [n for n in matching if n >= before]


def test_a_post_is_compressed_alone_once_for_all_that_select() -> None:
    """And never as a part of the stream that readers of everything get: it refers to what they have seen."""
    log, _ = feed_of([[1, 2] * 10], text="the same text again")
    everybody = log.read(log.tail, Reading(PLAIN_DEFLATED), 1 << 16)
    made = log.encodings.made
    chunks = [
        log.read(log.tail, Reading(PLAIN_DEFLATED, Selection(authors)), 1 << 16) for authors in ([1], [1, 3], [1, 2])
    ]
    assert log.encodings.made == made + 20
    assert [chunk.posts for chunk in chunks] == [10, 10, 20]
    assert chunks[0].data == chunks[1].data
    assert ids(chunks[2].data, PLAIN_DEFLATED) == ids(everybody.data, PLAIN_DEFLATED)
    for frame in (chunks[0].data[: len(chunks[0].data) // 10],):
        assert ids(frame, PLAIN_DEFLATED) == [0]


def test_readers_of_one_selection_share_bytes() -> None:
    """And do not displace what readers of everything share."""
    log, _ = feed_of([[1, 2], [1]])
    everybody = log.read(log.tail, Reading(PLAIN), 1 << 16)
    reading = Reading(PLAIN, Selection([1]))
    chunk = log.read(log.tail, reading, 1 << 16)
    assert log.read(log.tail, reading, 1 << 16) is chunk
    for _ in range(100):
        log.read(log.tail, Reading(PLAIN, Selection([2])), 1 << 16)
    assert log.read(log.tail, Reading(PLAIN), 1 << 16) is everybody


def test_a_late_read_that_found_nothing_has_passed_something() -> None:
    """It ends in the middle of the feed, and the next one goes on there."""
    log, _ = feed_of([[1]] * 9)
    reading = Reading(PLAIN, Selection([2]))
    chunks, place = [], log.tail
    while place < log.head:
        chunks.append(log.read(place, reading, 100, lambda: True))
        place = chunks[-1].position
    assert chunks == [(b"", at(3, 1), 0), (b"", at(7, 1), 0), (b"", at(8, 1), 0)]
    assert log.read(Position(0), Reading(PLAIN, Selection([3])), 100) == (b"", log.head, 0)


@example(feed=[[], []], wanted=None, limit=1, until=1, hurried=False, again=False, forgotten=0)
@example(feed=[[1], [], [1]], wanted=None, limit=1, until=2, hurried=False, again=True, forgotten=2)
@given(
    feed=feeds,
    wanted=st.none() | selections,
    limit=st.integers(1, 300),
    until=st.integers(0, 9),
    hurried=st.booleans(),
    again=st.booleans(),
    forgotten=st.integers(0, 9),
)
def test_a_reader_gets_nothing_of_a_record_at_which_its_read_ends(
    *,
    feed: list[list[int | None]],
    wanted: frozenset[int] | None,
    limit: int,
    until: int,
    hurried: bool,
    again: bool,
    forgotten: int,
) -> None:
    """It is told the place before that record, as all are that read up to there; also where nothing else is kept."""
    log, authors = feed_of(feed, again=again)
    log.kept.forget(log.position_at(Offset(forgotten)))
    gone = log.kept.posts_before(log.tail)
    got: list[int] = []
    end = log.position_at(Offset(until))
    place, reading = log.tail, Reading(PLAIN, None if wanted is None else Selection(wanted))
    while place < end:
        chunk = log.read(place, reading, limit, lambda: hurried, Offset(until))
        assert place < chunk.position <= end
        got += ids(chunk.data)
        place = chunk.position
    chunk = log.read(place, reading, limit, lambda: hurried, Offset(until))
    assert (chunk.posts, chunk.position) == (0, place)
    offered = authors[: sum(map(len, feed[:until]))]
    expected = [number for number, author in enumerate(offered) if wanted is None or author in wanted]
    assert got == [number for number in expected if number >= gone]
