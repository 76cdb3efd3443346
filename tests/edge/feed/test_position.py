"""Cursors as tokens."""

from base64 import urlsafe_b64encode
from string import ascii_lowercase, digits

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.feed.position import (
    MAX_PUBLICATIONS,
    NO_STAMP,
    Cursor,
    Gap,
    Position,
    before,
    parse,
    place_of,
    position_of,
    stamp_of,
)
from streams.contract import Offset
from tests.edge.kit.records import cursor

offsets = st.integers(0, 2**64 - 1).map(Offset)
indices = st.integers(1, MAX_PUBLICATIONS)
cursors = st.one_of(
    st.builds(Cursor, st.builds(position_of, offsets, indices), st.binary(min_size=8, max_size=8)),
    st.builds(before, offsets),
)


@given(offsets, st.integers(0, MAX_PUBLICATIONS))
def test_a_position_is_a_place_in_a_record(offset: Offset, index: int) -> None:
    """It is taken apart again."""
    assert place_of(position_of(offset, index)) == (offset, index)


@given(st.lists(st.tuples(offsets, indices)))
def test_positions_are_ordered_as_the_feed_is(places: list[tuple[Offset, int]]) -> None:
    """By offset, and within a record by publication."""
    assert sorted(position_of(*place) for place in places) == [position_of(*place) for place in sorted(places)]


@given(st.lists(cursors))
@example([before(Offset(1)), Cursor(position_of(Offset(0), MAX_PUBLICATIONS), bytes(8))])
def test_tokens_are_sorted_by_bytes_as_by_position(some: list[Cursor]) -> None:
    """So a store or a client can compare them without reading them."""
    by_token = sorted(some, key=lambda one: str(one).encode())
    assert [one.position for one in by_token] == sorted(one.position for one in some)


@given(cursors)
@example(before(Offset(0)))
def test_a_token_is_read_back_as_its_cursor(one: Cursor) -> None:
    """``parse(str(cursor)) == cursor``."""
    assert parse(str(one)) == one


@given(cursors)
def test_a_token_needs_no_escaping(one: Cursor) -> None:
    """Tokens go into URLs and JSON strings as they are."""
    assert set(str(one)) <= set(digits + ascii_lowercase[:22])
    assert len(str(one)) == 32


@given(cursors, st.data())
def test_a_cursor_has_one_spelling(one: Cursor, data: st.DataObject) -> None:
    """Any other string is another cursor, or none: what is read is spelled out again."""
    token = str(one)
    index = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda character: character != token[index]))
    assert parse(token[:index] + other + token[index + 1 :]) != one


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "null",
        "0" * 31,
        "0" * 33,
        "0" * 31 + "w",
        "0" * 31 + "=",
        "0" * 26 + "======",
        "0" * 31 + "\n",
        "0" * 31 + "ä",
        "0" * 31 + "K",  # the Kelvin sign, which is a k in lower case
        "0" * 100_000,
        str(cursor(7, 3, b"record")).upper(),
        str(Cursor(Position(0), b"stampsta")),  # no record has that stamp: none is before the place
        "0" * 15 + "g" + "0" * 16,  # an index too large
        "AAAAAAAAAAAAAAAAAAAAAQzKmm8Gk1bV",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAA",  # as 0.1.0 spelled them
        urlsafe_b64encode(b"1").decode(),
    ],
)
def test_what_is_no_cursor_is_said_to_be_none(token: str) -> None:
    """A gap is a result: nothing that a client sends raises."""
    assert parse(token) == Gap("invalid")


@given(st.text())
def test_nothing_that_a_client_sends_raises(token: str) -> None:
    """Whatever it is, it is a cursor of that spelling or none."""
    assert parse(token) == Gap("invalid") or str(parse(token)) == token


def test_a_stamp_tells_records_apart() -> None:
    """The stamp is a hash over the raw record, and an unread record has none."""
    assert stamp_of(b"a") != stamp_of(b"b")
    assert stamp_of(b"a") == stamp_of(b"a") != NO_STAMP
    assert before(Offset(5)) == Cursor(position_of(Offset(5), 0), NO_STAMP)
