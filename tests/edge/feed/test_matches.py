"""How many posts are selected, counted otherwise than they are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.feed.matches import _MOST_POSTS, Mismatch, check, matches
from edge.feed.reads import Reading
from edge.feed.selection import Selection
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Offset
from tests.edge.kit.records import log_of, publication, record

AUTHOR = st.none() | st.integers(0, 20)


@given(
    st.lists(st.lists(AUTHOR, max_size=5), max_size=8),
    st.frozensets(st.integers(0, 20), max_size=21),
    st.integers(1, 99),
)
def test_as_many_match_as_are_read(feed: list[list[int | None]], authors: frozenset[int], limit: int) -> None:
    """Wherever reads begin and end, and for few authors or many; a repeat counts nowhere."""
    log, number = log_of(), 0
    for offset, each in enumerate(feed):
        made = [publication(number := number + 1, author=author) for author in each]
        log.append(Offset(offset), record(*made, *made[:1]))
    position, posts, selection = log.tail, 0, Selection(authors)
    while position < log.head:
        chunk = log.read(position, Reading(CURSOR, selection), limit)
        assert matches(log.kept, position, chunk.position, selection) == chunk.posts
        check(log.kept, position, chunk.position, selection, chunk.posts)
        position, posts = chunk.position, posts + chunk.posts
    assert posts == sum(author in authors for each in feed for author in each)
    assert matches(log.kept, log.tail, log.head, selection) == posts


@pytest.mark.parametrize("authors", [[7], range(20)])
def test_more_or_fewer_than_match_are_a_defect(authors: list[int]) -> None:
    log, selection = log_of(record(*(publication(number, author=number) for number in (7, 30)))), Selection(authors)
    check(log.kept, log.tail, log.head, selection, 1)
    for posts in (0, 2):
        with pytest.raises(Mismatch, match=f"{posts} posts were read where 1 match"):
            check(log.kept, log.tail, log.head, selection, posts)


def test_what_would_take_too_long_is_not_counted() -> None:
    log = log_of(record(*(publication(number, author=7) for number in range(_MOST_POSTS + 1))))
    assert matches(log.kept, log.tail, log.head, Selection([7])) is None
    check(log.kept, log.tail, log.head, Selection([7]), 0)
