"""What is made of records has the room that they leave, and can be made again."""

import pytest

from edge.feed.joins import Back, never
from edge.feed.position import Position
from edge.feed.postings import Postings
from edge.feed.reads import Reading, Wanted
from edge.feed.record import Record
from edge.feed.renderings import Renderings
from edge.feed.retained import Retained
from edge.feed.selection import Selection
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import Offset
from tests.edge.kit.records import ids, publication

LIMIT = 1 << 20
AUTHORS = [1, 2, 1, 3, 1, 2]


def kept_of(authors: list[int]) -> Retained:
    """Keep a record for each post."""
    kept = Retained(Offset(0))
    for offset, author in enumerate(authors):
        posts = [publication(offset, author=author)]
        kept.append(Record(Offset(offset), b"stampsta", kept.head.position, posts, range(1), shown_before=kept.shown))
    return kept


def wanted(selection: Selection | None = None, position: int = 0) -> Wanted:
    """Want everything from a position, or what is selected of it."""
    return Wanted(Position(position), Reading(PLAIN, selection), 1 << 16)


@pytest.fixture
def kept() -> Retained:
    """Make some records."""
    return kept_of(AUTHORS)


@pytest.mark.parametrize("selection", [None, Selection([1])], ids=["everything", "a selection"])
def test_what_was_joined_is_joined_once_until_the_log_changes(kept: Retained, selection: Selection | None) -> None:
    made = Renderings(LIMIT)
    first = made.read(kept, wanted(selection), never)
    assert ids(first.data) == [number for number, author in enumerate(AUTHORS) if selection is None or author == 1]
    assert made.read(kept, wanted(selection), never) is first
    made.forget_reads()
    again = made.read(kept, wanted(selection), never)
    assert (again, again is first) == (first, False)


def test_readers_that_select_do_not_displace_what_all_others_share(kept: Retained) -> None:
    made = Renderings(LIMIT)
    everything = made.read(kept, wanted(), never)
    for author in range(100):
        made.read(kept, wanted(Selection([author])), never)
    assert made.read(kept, wanted(), never) is everything


def test_all_that_is_made_counts_and_goes_with_the_records(kept: Retained) -> None:
    made = Renderings(LIMIT)
    assert made.size == 0
    chunk = made.read(kept, wanted(), never)
    assert made.size == made.encodings.size + len(chunk.data)
    made.clear()
    assert made.size == 0


def test_encodings_have_what_posting_lists_leave(kept: Retained) -> None:
    """Whoever made these lists, by a read or by looking back."""
    selection, kept_size = Selection([3]), kept.size
    for use in ("read", "look back"):
        made = Renderings(LIMIT)
        made._postings = Postings(LIMIT, block=2)  # noqa: SLF001 - what a real block needs is thousands of posts
        made.read(kept, Wanted(Position(0), Reading(CURSOR), 1 << 16), never)
        encodings = made.encodings.size
        assert encodings > 0
        # Just enough for what there is: the lists displace an encoding.
        made.fit(kept, encodings)
        made._postings.fit(LIMIT, first=0)  # noqa: SLF001 - lists of records so few have no room beside them
        if use == "read":
            assert ids(made.read(kept, wanted(selection), never).data) == [3]
        else:
            found = made.look_back(kept, Back(kept.head.position, 1), selection, never)
            assert found == Back(kept.records[3].position(0))
        assert made.encodings.evicted > 0
    assert kept.size == kept_size


def test_posting_lists_of_posts_that_are_gone_are_forgotten(kept: Retained) -> None:
    made = Renderings(LIMIT)
    made._postings = Postings(LIMIT, block=2)  # noqa: SLF001 - as above
    made.look_back(kept, Back(kept.head.position, 1), Selection([9]), never)
    before = made.size
    assert before > 0
    kept.trim(sum(record.size for record in kept.records[4:]))
    made.fit(kept, LIMIT)
    assert 0 < made.size < before
