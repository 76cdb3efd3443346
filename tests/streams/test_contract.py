"""The records on Kafka, and the files that both sides read."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contract import (
    MAX_DEAD_BODY_BYTES,
    BadRecord,
    Created,
    DeadLetter,
    FeedRecord,
    Millis,
    Post,
    Publication,
    User,
    dead_letter,
    decode_created,
    decode_dead,
    decode_feed,
    encode_created,
    encode_dead,
    encode_feed,
    feed_records,
    publication,
)

GOLDEN = Path(__file__).parents[1] / "golden"

POST = Post(
    id=123,
    description="Post content",
    created_at="2024-01-01T00:00:00Z",
    user=User(456, "username"),
    is_liked=False,
    image_urls=["url1", "url2"],
    likes_count=0,
)


def test_the_feed_record_is_the_golden_one() -> None:
    record = FeedRecord(window=1704067200000, publications=[publication(POST)])
    assert encode_feed(record) == (GOLDEN / "feed_record.json").read_bytes()


def test_a_feed_record_carries_payloads_as_they_were_encoded() -> None:
    record = decode_feed((GOLDEN / "feed_record.json").read_bytes())
    assert [(p.action, p.id, bytes(p.payload)) for p in record.publications] == [
        ("created", 123, msgspec.json.encode(POST))
    ]
    assert (
        b'{"action":"created","payload":%b}' % bytes(record.publications[0].payload)
        == (GOLDEN / "client_message.json").read_bytes()
    )


def test_an_attempt_is_written_only_when_there_was_one() -> None:
    assert encode_created(Created(5)) == b'{"id":5}'
    assert encode_created(Created(5, attempt=2)) == b'{"id":5,"attempt":2}'


@given(st.integers(1, 2**63 - 1), st.integers(0, 100))
def test_created_records_survive_the_way(post: int, attempt: int) -> None:
    assert decode_created(encode_created(Created(post, attempt))) == Created(post, attempt)


def test_a_newer_writer_may_add_fields() -> None:
    assert decode_created(b'{"id":5,"priority":"high"}') == Created(5)
    assert decode_feed(b'{"window":0,"publications":[],"region":"eu"}') == FeedRecord(0, [])


@pytest.mark.parametrize("decode", [decode_created, decode_feed, decode_dead])
@pytest.mark.parametrize("value", [b"", b"12", b"null", b"[]", b"{}", b'{"id":"5"}', b"\xff", b"[" * 100_000])
def test_a_foreign_record_is_refused(decode: Callable[[bytes], object], value: bytes) -> None:
    with pytest.raises(BadRecord):
        decode(value)


def test_a_dead_letter_keeps_the_beginning_and_describes_the_whole() -> None:
    body = bytes(range(256)) * 1000
    letter = dead_letter("not_an_id", "why", body)
    assert letter == DeadLetter("not_an_id", "why", body[:MAX_DEAD_BODY_BYTES], 256_000, sha256(body).hexdigest())
    assert decode_dead(encode_dead(letter)) == letter


def of_size(number: int, size: int) -> Publication:
    return Publication("created", number, msgspec.Raw(b'"' + b"x" * (size - 2) + b'"'))


@given(st.lists(st.integers(2, 3000), max_size=60))
def test_a_window_is_split_in_order_into_records_below_the_limit(sizes: list[int]) -> None:
    limit = 2000
    publications = [of_size(number, size) for number, size in enumerate(sizes)]
    records = list(feed_records(Millis(5000), publications, limit))
    assert [p for record in records for p in record.publications] == publications
    for record in records:
        assert record.window == 5000
        # Alone, a publication may be larger than the limit: there is nothing left to split.
        assert len(record.publications) == 1 or len(encode_feed(record)) <= limit + 64


def test_an_empty_window_makes_no_record() -> None:
    assert list(feed_records(Millis(0), [])) == []
