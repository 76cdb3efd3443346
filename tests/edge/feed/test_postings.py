"""Posting lists find what a look at each post finds, and cost what they may."""

from hypothesis import given
from hypothesis import strategies as st

from edge.feed.postings import BLOCK, Postings
from edge.feed.record import Record
from edge.feed.retained import Retained
from edge.feed.selection import Selection
from streams.contract import Offset
from tests.edge.kit.records import publication

SIZE = 6
ROOM = 1 << 20
feeds = st.lists(st.lists(st.sampled_from((None, 1, 2, 3)), max_size=5), max_size=12)


def add(kept: Retained, authors: list[int | None], offset: int) -> None:
    """Keep a record of posts of these authors."""
    posts = [publication(n, author=author) for n, author in enumerate(authors)]
    here = kept.head.position
    kept.append(Record(Offset(offset), b"stampsta", here, posts, range(len(posts)), shown_before=kept.shown))


def kept_of(feed: list[list[int | None]]) -> Retained:
    """Keep records of these authors' posts."""
    kept = Retained(Offset(0))
    for offset, authors in enumerate(feed):
        add(kept, authors, offset)
    return kept


@given(
    feed=feeds,
    wanted=st.frozensets(st.integers(1, 4)),
    others=st.integers(0, 200),
    forgotten=st.integers(0, 4),
    room=st.sampled_from([0, ROOM]),
)
def test_what_is_found_is_what_is_selected(
    feed: list[list[int | None]], wanted: frozenset[int], others: int, forgotten: int, room: int
) -> None:
    """Between any two posts of a block, however many authors there are, and whatever the log has forgotten."""
    kept = kept_of(feed)
    limit = sum(record.size for record in kept.records[forgotten:])
    kept.trim(limit)
    authors = [author for some in feed for author in some]
    postings, selection = Postings(room, block=SIZE), Selection([*wanted, *range(10, 10 + others)])
    first = kept.shown - kept.posts
    for begin in range(first, kept.shown):
        assert postings.begin_of_block(begin) <= begin < postings.end_of_block(begin)
        for end in range(begin, min(postings.end_of_block(begin), kept.shown) + 1):
            found = postings.find(kept, selection, begin, end)
            assert list(found) == [number for number in range(begin, end) if authors[number] in wanted]
    assert (postings.size > 0) == (room > 0 and first // SIZE < kept.shown // SIZE)


def test_lists_are_made_once_and_forgotten_with_their_posts() -> None:
    kept = kept_of([[1, 2, 3]] * 6)
    postings = Postings(ROOM, block=SIZE)
    for number in range(0, 18, SIZE):
        postings.find(kept, Selection([1]), number, number + 1)
    whole = postings.size
    postings.find(kept, Selection([2]), 7, 9)
    assert postings.size == whole
    postings.fit(ROOM, first=SIZE)
    assert postings.size == whole * 2 // 3
    postings.fit(ROOM, first=2 * SIZE - 1)
    assert postings.size == whole * 2 // 3
    postings.fit(1, first=SIZE)
    assert postings.size == 0
    assert list(postings.find(kept, Selection([1]), 6, 12)) == [6, 9]
    assert postings.size == 0


def test_they_cost_what_is_said() -> None:
    """Ten bytes for each post, and a little for each block."""
    kept = kept_of([[number % 50 for number in range(1000)]] * 5)
    postings = Postings(ROOM)
    assert list(postings.find(kept, Selection([7]), 100, 200)) == [107, 157]
    assert 10 * BLOCK < postings.size < 10 * BLOCK + 500
    assert list(postings.find(kept, Selection([7]), 4500, 4600)) == [4507, 4557]
