"""A record's place, and its posts as messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.feed.position import MAX_PUBLICATIONS, Cursor, Position
from edge.feed.record import Joined, Record, decoded
from edge.wire.encoding import Message
from edge.wire.messages import message
from streams.contract import Offset, Publication
from tests.edge.kit.records import at, publication, record


def record_of(*publications: Publication, shown: list[int] | None = None) -> Record:
    places = list(range(len(publications))) if shown is None else shown
    return Record(Offset(7), b"stampsta", at(6, 5), publications, places)


def test_pieces_are_found_by_their_number() -> None:
    """Joined, and apart again."""
    made = Joined([b"a", b"bc", b""])
    assert (made.bytes, [made[n] for n in range(len(made))]) == (b"abc", [b"a", b"bc", b""])


def test_what_a_record_costs_is_more_than_its_bytes() -> None:
    """Also where it shows nothing: it is kept all the same."""
    records = [record_of(*map(publication, range(count))) for count in (0, 1, 100)]
    sizes = [record.size - len(record.texts.bytes) for record in records]
    assert sizes == sorted(set(sizes))
    assert sizes[0] > 0


@pytest.mark.parametrize(
    ("shown", "positions"),
    [
        ([], []),
        ([1], [at(7, 3)]),
        ([0, 2], [at(7, 1), at(7, 3)]),
        ([0, 1], [at(7, 1), at(7, 3)]),
    ],
)
def test_a_record_shows_what_it_is_told_to(shown: list[int], positions: list[Position]) -> None:
    """Each post with the cursor of the place after it; after the last one there is one place, whatever repeats."""
    made = record_of(publication(10), publication(11), publication(12), shown=shown)
    texts = [message(publication(10 + place)) for place in shown]
    assert made.messages(0, len(shown), has_cursor=False) == [Message(text) for text in texts]
    assert made.messages(0, len(shown), has_cursor=True) == [
        Message(text, str(Cursor(position, b"stampsta"))) for text, position in zip(texts, positions, strict=True)
    ]
    assert [made.position(n) for n in range(len(shown) + 1)] == [at(6, 5), *positions]
    assert [made.posts_before(position) for position in positions] == list(range(1, len(shown) + 1))
    assert (made.begin, made.end) == (at(6, 5), at(7, 3))


def test_a_record_without_publications_is_no_place() -> None:
    """After it and before it is the same."""
    assert record_of().end == at(6, 5)


@given(st.lists(st.one_of(st.integers(0, 2000), st.integers(0, 100_000)), min_size=1, max_size=120))
def test_stretches_divide_a_record(lengths: list[int]) -> None:
    """Every post is in exactly one, none is longer than 32 KiB and a post, and all know the same bounds."""
    made = record_of(*[publication(n, text="x" * length) for n, length in enumerate(lengths)])
    begin, bounds = 0, []
    while begin < len(lengths):
        bounds.append(made.stretch_of(begin, 32 * 1024))
        assert {made.stretch_of(index, 32 * 1024) for index in range(*bounds[-1])} == {bounds[-1]}
        assert (bounds[-1][0], bounds[-1][1] > begin) == (begin, True)
        begin = bounds[-1][1]
        ends = made.texts.ends
        assert ends[begin - 1] - ends[bounds[-1][0]] <= 32 * 1024
    assert begin == len(lengths)


def test_a_record_of_more_publications_than_positions_can_be_told_apart_is_none() -> None:
    """It is counted and passed, like what cannot be decoded."""
    one = record(1).partition(b"[")[2].partition(b"]")[0]
    many = record(1).replace(one, b",".join([one] * (MAX_PUBLICATIONS + 1)))
    found, error = decoded(many)
    assert (found.publications, error) == ([], "the record has 1048576 publications, more than 1048575")
