"""Cursors as tokens."""

from base64 import urlsafe_b64encode
from string import ascii_letters, digits

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.feed.position import NO_STAMP, Cursor, Gap, before, parse, stamp_of
from streams.contract import Offset

cursors = st.builds(
    Cursor,
    st.integers(0, 2**64 - 1).map(Offset),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=8, max_size=8),
)


@given(cursors)
@example(before(Offset(0)))
def test_a_token_is_read_back_as_its_cursor(cursor: Cursor) -> None:
    """``parse(str(cursor)) == cursor``."""
    assert parse(str(cursor)) == cursor


@given(cursors)
def test_a_token_needs_no_escaping(cursor: Cursor) -> None:
    """Tokens go into URLs and JSON strings as they are."""
    assert set(str(cursor)) <= set(ascii_letters + digits + "-_")


@given(cursors, st.data())
def test_a_cursor_has_one_spelling(cursor: Cursor, data: st.DataObject) -> None:
    """Any other string is another cursor, or none: base64 is read strictly."""
    token = str(cursor)
    index = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda one: one != token[index]))
    assert parse(token[:index] + other + token[index + 1 :]) != cursor


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "null",
        "A" * 26,
        "A" * 28,
        "A" * 27 + "=",
        "A" * 26 + "\n",
        "A" * 26 + "B",  # bits that stand for nothing
        "A" * 26 + "ä",
        "A" * 26 + "/",
        "A" * 100_000,
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
    assert before(Offset(5)) == Cursor(Offset(5), 0, NO_STAMP)
