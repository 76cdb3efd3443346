"""A batch and its rows become posts, retries and dead letters."""

from datetime import datetime

import msgspec
import pytest

from streams.contract import Created, Millis, Offset, Partition, Post, PostId, User, publication
from streams.enrichment import Enriched, Row, distinct_posts, enrich, post_of, rfc3339
from streams.windows import Record

NEW_YEAR = datetime(2024, 1, 1)


def record(offset: int, post: int, attempt: int = 0) -> Record:
    return Record(Millis(0), Partition(0), Offset(offset), PostId(post), attempt)


def row(post: int) -> Row:
    return Row(PostId(post), f"Post {post}", NEW_YEAR, 7, "seven", ["a", "b"], 3)


def post(number: int) -> Post:
    return Post(number, f"Post {number}", "2024-01-01T00:00:00Z", User(7, "seven"), False, ["a", "b"], 3)


def enriched(records: list[Record], rows: list[Row]) -> Enriched:
    return enrich(records, {r.id: r for r in rows}, image_base_url="", max_attempts=3)


def test_posts_are_published_in_the_order_of_the_batch_not_of_the_rows() -> None:
    result = enriched([record(0, 2), record(1, 1)], [row(1), row(2)])
    assert result == Enriched([publication(post(2)), publication(post(1))], [], [])


def test_a_post_that_a_batch_names_twice_is_shown_once_at_its_first_place() -> None:
    records = [record(0, 2), record(1, 1), record(2, 2, attempt=1)]
    assert distinct_posts(records) == [2, 1]
    assert [p.id for p in enriched(records, [row(1), row(2)]).publications] == [2, 1]


def test_a_missing_post_is_announced_again_until_its_last_attempt() -> None:
    records = [record(0, 1), record(1, 2, attempt=1), record(2, 3, attempt=2), record(3, 4, attempt=9)]
    assert enriched(records, []) == Enriched([], [Created(1, 1), Created(2, 2)], [PostId(3), PostId(4)])


def test_a_new_announcement_is_not_given_up_for_an_old_ones_sake() -> None:
    assert enriched([record(0, 1, attempt=2), record(1, 1)], []) == Enriched([], [Created(1, 1)], [])


def test_the_base_url_goes_before_each_key() -> None:
    urls = post_of(row(1), "https://images.example/").image_urls
    assert urls == ["https://images.example/a", "https://images.example/b"]


def test_a_payload_has_the_clients_fields_in_their_order() -> None:
    bare = Row(PostId(1), "", NEW_YEAR, 7, "seven", [], 0)
    assert msgspec.json.encode(post_of(bare, "https://images.example/")) == (
        b'{"id":1,"description":"","created_at":"2024-01-01T00:00:00Z","user":{"id":7,"username":"seven"},'
        b'"is_liked":false,"image_urls":[],"likes_count":0}'
    )


@pytest.mark.parametrize(
    ("microsecond", "text"),
    [
        (0, "2024-01-01T00:00:00Z"),
        (500_000, "2024-01-01T00:00:00.5Z"),
        (123_000, "2024-01-01T00:00:00.123Z"),
        (1, "2024-01-01T00:00:00.000001Z"),
        (100, "2024-01-01T00:00:00.0001Z"),
    ],
)
def test_a_fraction_is_written_only_as_far_as_it_is_not_zero(microsecond: int, text: str) -> None:
    assert rfc3339(NEW_YEAR.replace(microsecond=microsecond)) == text


def test_years_have_four_digits() -> None:
    assert rfc3339(datetime(33, 4, 3)) == "0033-04-03T00:00:00Z"
