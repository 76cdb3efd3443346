"""A record's posts, in each encoding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.feed.position import Cursor, Position
from edge.feed.record import Frames, Record
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Offset, Publication
from tests.edge.kit.records import messages, publication


def record_of(*publications: Publication, shown: list[int] | None = None) -> Record:
    places = list(range(len(publications))) if shown is None else shown
    return Record(Offset(7), b"stampsta", Position(100), list(publications), places)


def test_frames_are_found_by_their_number() -> None:
    """Joined, and apart again."""
    made = Frames([b"a", b"bc", b""])
    assert (made.joined, [made[n] for n in range(len(made))]) == (b"abc", [b"a", b"bc", b""])


def test_what_a_record_costs_is_more_than_its_bytes() -> None:
    """Also where it shows nothing: it is kept all the same."""
    sizes = [
        record_of(*map(publication, range(count))).size - len(record_of(*map(publication, range(count))).plain.joined)
        for count in (0, 1, 100)
    ]
    assert sizes == sorted(set(sizes))
    assert sizes[0] > 0


@pytest.mark.parametrize("shown", [[], [1], [0, 2]])
def test_a_record_shows_what_it_is_told_to(shown: list[int]) -> None:
    """Each with the cursor of its own place among all publications."""
    record = record_of(publication(10), publication(11), publication(12), shown=shown)
    tokens = [str(Cursor(Offset(7), place + 1, b"stampsta")) for place in shown]
    assert [post["payload"]["id"] for post in messages(record.plain.joined)] == [10 + place for place in shown]
    assert [post["cursor"] for post in messages(record.alone(CURSOR, 0, len(shown)).joined)] == tokens


@given(st.lists(st.one_of(st.integers(0, 2000), st.integers(0, 100_000)), min_size=1, max_size=120))
def test_streams_divide_a_record(lengths: list[int]) -> None:
    """Every post is in exactly one, none is longer than 32 KiB and a post, and all know the same bounds."""
    record = record_of(*[publication(n, text="x" * length) for n, length in enumerate(lengths)])
    begin, bounds = 0, []
    while begin < len(lengths):
        bounds.append(record.stream_of(begin, 32 * 1024))
        assert {record.stream_of(index, 32 * 1024) for index in range(*bounds[-1])} == {bounds[-1]}
        assert (bounds[-1][0], bounds[-1][1] > begin) == (begin, True)
        begin = bounds[-1][1]
        ends = record.plain.ends
        assert ends[begin - 1] - ends[bounds[-1][0]] <= 32 * 1024
    assert begin == len(lengths)
