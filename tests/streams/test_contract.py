"""The records on Kafka, and the files that both sides read."""

from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contract import (
    MAX_ATTEMPT,
    MAX_DEAD_BODY_BYTES,
    MAX_FEED_RECORD_BYTES,
    MAX_ID,
    MAX_IDS,
    BadRecord,
    Created,
    DeadLetter,
    FeedRecord,
    Millis,
    Post,
    PostId,
    Publication,
    User,
    dead_letter,
    decode_created,
    decode_dead,
    decode_feed,
    encode_created,
    encode_dead,
    encode_feed,
    encode_post,
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


def ids(*numbers: int) -> tuple[PostId, ...]:
    return tuple(map(PostId, numbers))


def test_the_feed_record_is_the_golden_one() -> None:
    record = FeedRecord(window=1704067200000, publications=[publication(PostId(123), encode_post(POST), 456)])
    assert encode_feed(record) == (GOLDEN / "feed_record.json").read_bytes()


def test_a_publication_names_its_author_where_the_lookup_knows_it() -> None:
    record = FeedRecord(window=0, publications=[publication(PostId(1), b"{}", 456), publication(PostId(2), b"{}")])
    value = encode_feed(record)
    assert value == (
        b'{"window":0,"publications":[{"action":"created","id":1,"payload":{},"author":456},'
        b'{"action":"created","id":2,"payload":{}}]}'
    )
    assert decode_feed(value) == record


def test_a_feed_record_carries_payloads_as_they_were_encoded() -> None:
    record = decode_feed((GOLDEN / "feed_record.json").read_bytes())
    assert [(p.action, p.id, bytes(p.payload)) for p in record.publications] == [
        ("created", 123, msgspec.json.encode(POST))
    ]
    assert (
        b'{"action":"created","payload":%b}' % bytes(record.publications[0].payload)
        == (GOLDEN / "client_message.json").read_bytes()
    )


@pytest.mark.parametrize(
    ("record", "key", "value"),
    [
        (Created(ids(5)), b"5", b'{"id":5}'),
        (Created(ids(5), attempt=2), b"5", b'{"id":5,"attempt":2}'),
        (Created(ids(7, 5)), None, b'{"ids":[7,5]}'),
        (Created(ids(7, 5, 7), attempt=1), None, b'{"ids":[7,5,7],"attempt":1}'),
    ],
)
def test_a_created_record_holds_one_id_under_its_key_or_several_without_one(
    record: Created, key: bytes | None, value: bytes
) -> None:
    assert (record.key, encode_created(record)) == (key, value)


@given(st.lists(st.integers(1, MAX_ID).map(PostId), min_size=1, max_size=40).map(tuple), st.integers(0, MAX_ATTEMPT))
def test_created_records_survive_the_way(posts: tuple[PostId, ...], attempt: int) -> None:
    read = decode_created(encode_created(Created(posts, attempt)))
    assert (tuple(read.ids), read.attempt) == (posts, attempt)


def test_a_created_record_holds_as_many_ids_as_the_contract_allows() -> None:
    assert len(decode_created(encode_created(Created([PostId(MAX_ID)] * MAX_IDS))).ids) == MAX_IDS


@pytest.mark.parametrize(
    "value",
    [
        b'{"id":0}',
        b'{"id":-1}',
        b'{"id":%d}' % (MAX_ID + 1),
        b'{"id":1%040d}' % 0,
        b'{"id":true}',
        b'{"id":1.0}',
        b'{"id":null}',
        b'{"id":5,"ids":[5]}',
        b'{"attempt":1}',
        b'{"ids":[]}',
        b'{"ids":5}',
        b'{"ids":[5,0]}',
        b'{"ids":[5,"6"]}',
        b'{"ids":[5,%d]}' % (MAX_ID + 1),
        b'{"ids":[%s]}' % b",".join([b"5"] * (MAX_IDS + 1)),
        b'{"id":5,"attempt":-1}',
        b'{"id":5,"attempt":-1000000}',
        b'{"id":5,"attempt":%d}' % (MAX_ATTEMPT + 1),
    ],
)
def test_a_created_record_outside_the_contract_is_refused(value: bytes) -> None:
    with pytest.raises(BadRecord):
        decode_created(value)


def test_a_newer_writer_may_add_fields() -> None:
    assert decode_created(b'{"id":5,"priority":"high"}') == Created(ids(5))
    assert decode_created(b'{"ids":[5,6],"priority":"high"}') == Created([*ids(5, 6)])
    assert decode_feed(b'{"window":0,"publications":[],"region":"eu"}') == FeedRecord(0, [])


@pytest.mark.parametrize("decode", [decode_created, decode_feed, decode_dead])
@pytest.mark.parametrize("value", [b"", b"12", b"null", b"[]", b"{}", b'{"id":"5"}', b"\xff", b"[" * 100_000])
def test_a_foreign_record_is_refused(decode: Callable[[bytes], object], value: bytes) -> None:
    with pytest.raises(BadRecord):
        decode(value)


@pytest.mark.parametrize("length", [0, 65_535, 65_536, 65_537, 256_000])
def test_a_dead_letter_keeps_the_first_64_kib_and_describes_the_whole(length: int) -> None:
    body = (bytes(range(256)) * 1000)[:length]
    letter = dead_letter("not_an_id", "why", body)
    assert letter == DeadLetter("not_an_id", "why", body[: 64 * 1024], length, sha256(body).hexdigest())
    assert decode_dead(encode_dead(letter)) == letter


def test_a_dead_letter_of_what_is_no_text_can_be_written() -> None:
    assert MAX_DEAD_BODY_BYTES == 64 * 1024
    letter = dead_letter("bad_record", "not a record of posts.created: \xff", b"\xff\x00")
    assert b'"body":"/wA="' in encode_dead(letter)


def of_size(number: int, size: int) -> Publication:
    return publication(PostId(number), b'"' + b"x" * (size - 2) + b'"')


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


@given(st.lists(st.integers(2, 3000), max_size=60))
def test_what_fits_into_a_record_is_not_left_to_the_next(sizes: list[int]) -> None:
    """A record ends only where the publication after it does not fit, whatever records came before.

    Readers remember repeats by records: many small ones would shorten what they remember.
    """
    limit = 2000
    records = list(feed_records(Millis(0), [of_size(number, size) for number, size in enumerate(sizes)], limit))
    for one, following in pairwise(records):
        joined = FeedRecord(0, [*one.publications, following.publications[0]])
        # 96 bytes are set aside for each publication's names and punctuation.
        assert len(encode_feed(joined)) + 96 * len(joined.publications) > limit


def test_what_fills_a_record_to_the_last_byte_fits() -> None:
    """96 bytes are set aside for each publication's names and punctuation."""
    full, larger = [of_size(1, 1000 - 96), of_size(2, 1000 - 96)], [of_size(1, 1000 - 96), of_size(2, 1001 - 96)]
    assert [len(record.publications) for record in feed_records(Millis(0), full, 2000)] == [2]
    assert [len(record.publications) for record in feed_records(Millis(0), larger, 2000)] == [1, 1]


def test_a_window_of_2000_posts_makes_as_few_records_as_hold_it() -> None:
    records = list(feed_records(Millis(0), [of_size(number, 600) for number in range(2000)]))
    assert len(records) == -(-2000 * (600 + 96) // MAX_FEED_RECORD_BYTES)


def test_an_empty_window_makes_no_record() -> None:
    assert list(feed_records(Millis(0), [])) == []
