"""What a delivery announces, and what is poison."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.announcement import NotAnId, announced_post
from streams.contract import MAX_ID


@pytest.mark.parametrize(
    ("body", "post"),
    [
        (b"1", 1),
        (b"007", 7),
        (b"9223372036854775807", MAX_ID),
        (b'{"id":123}', 123),
        (b'{ "id" : 123 , "text": "caf\\u00e9", "more": [1, {"id": 5}] }', 123),
    ],
)
def test_digits_or_an_object_with_an_integer_id_announce_a_post(body: bytes, post: int) -> None:
    assert announced_post(body) == post


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"abc",
        b"1e9",
        b" 12",
        b"12 ",
        b"12\n",
        b"+5",
        b"-5",
        b"1_000",
        "٣".encode(),
        b"0",
        b"9223372036854775808",
        b"1" * 20,
        b"1" * 1_000_000,
        b"\x00",
        b"12\x00",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"1.0",
        b"{",
        b"{}",
        b'{"id":"x"}',
        b'{"id":"12"}',
        b'{"id":true}',
        b'{"id":null}',
        b'{"id":1.0}',
        b'{"id":0}',
        b'{"id":-1}',
        b'{"id":9223372036854775808}',
        b'{"id":12}{"id":13}',
        b'{"id":"\xff"}',
        b'{"id":12,"x":"' + b"y" * 70_000 + b'"}',
        b'{"id":' * 10_000,
    ],
)
def test_everything_else_is_poison(body: bytes) -> None:
    with pytest.raises(NotAnId):
        announced_post(body)


@given(st.integers(1, MAX_ID))
def test_every_id_that_postgresql_can_be_asked_for_is_accepted(number: int) -> None:
    assert announced_post(b"%d" % number) == number


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_the_reason(body: bytes) -> None:
    with suppress(NotAnId):
        assert 1 <= announced_post(body) <= MAX_ID
