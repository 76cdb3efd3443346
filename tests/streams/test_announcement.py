"""What a delivery announces, and what is poison."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.announcement import LongBody, NotAnId, announced_post, judged
from streams.contract import MAX_ID, DeadLetter, PostId, dead_letter


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


def test_a_body_is_judged_a_post_or_a_dead_letter_with_the_reason() -> None:
    assert judged(b"12") == PostId(12)
    detail = "the body is neither 1 to 19 ASCII digits nor a JSON object"
    assert judged(b"twelve") == dead_letter("not_an_id", detail, b"twelve")


def in_pieces(body: bytes, size: int) -> PostId | DeadLetter:
    long = LongBody()
    for start in range(0, len(body), size):
        long.add(body[start : start + size])
    return long.judged()


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"123",
        b'{"id":123}',
        b"abc",
        b"1" * 65_535,
        b"1" * 65_536,
        b"1" * 65_537,
        b'{"id":12,"x":"' + b"y" * 65_520 + b'"}',
        b'{"id":12,"x":"' + b"y" * 65_521 + b'"}',
        b"{" + b"y" * 150_000,
    ],
)
def test_a_body_that_comes_in_pieces_is_judged_as_the_whole(body: bytes, size: int) -> None:
    assert in_pieces(body, size) == judged(body)


def test_a_body_is_json_up_to_64_kib() -> None:
    assert judged(b'{"id":12,"x":"' + b"y" * 65_520 + b'"}') == 12
    too_long = judged(b'{"id":12,"x":"' + b"y" * 65_521 + b'"}')
    assert isinstance(too_long, DeadLetter)
    assert (too_long.detail, too_long.length) == ("the body is a JSON object of more than 65536 bytes", 65_537)
