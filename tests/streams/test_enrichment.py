"""A batch and what the lookup found become publications, retries and missing posts."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from streams.contract import Millis, Offset, Partition, Post, PostId, Publication, User, publication
from streams.enrichment import BadRow, Enriched, Found, Row, distinct_posts, enrich, found_row, post_of, rfc3339
from streams.windows import Record

NEW_YEAR = datetime(2024, 1, 1)
ROW = Row(1, "Post 1", NEW_YEAR, 7, "seven", ["a", "b"], 3)


def record(offset: int, post: int, attempt: int = 0) -> Record:
    return Record(Millis(0), Partition(0), Offset(offset), 0, PostId(post), attempt)


def found(*posts: int) -> dict[PostId, Found]:
    return {PostId(post): Found(b'{"id":%d}' % post, post + 100) for post in posts}


def published(post: int) -> Publication:
    return publication(PostId(post), b'{"id":%d}' % post, post + 100)


def test_posts_are_published_in_the_order_of_the_batch_not_of_the_rows() -> None:
    result = enrich([record(0, 2), record(1, 1)], found(1, 2), max_attempts=3)
    assert result == Enriched([published(2), published(1)], {}, [])


def test_a_post_without_a_known_author_is_published_without_one() -> None:
    result = enrich([record(0, 1)], {PostId(1): Found(b"{}", None)}, max_attempts=3)
    assert result.publications == [publication(PostId(1), b"{}")]


def test_a_post_that_a_batch_names_twice_is_published_once_at_its_first_place() -> None:
    records = [record(0, 2), record(1, 1), record(2, 2, attempt=1)]
    assert distinct_posts(records) == [2, 1]
    assert enrich(records, found(1, 2), max_attempts=3).publications == [published(2), published(1)]


def test_a_missing_post_is_announced_again_until_its_last_attempt() -> None:
    records = [record(0, 1), record(1, 2, attempt=1), record(2, 3, attempt=2), record(3, 4, attempt=9), record(4, 5)]
    assert enrich(records, {}, max_attempts=3) == Enriched(
        [], {1: [PostId(1), PostId(5)], 2: [PostId(2)]}, [PostId(3), PostId(4)]
    )


def test_an_old_announcement_does_not_use_up_a_new_ones_attempts() -> None:
    assert enrich([record(0, 1, attempt=2), record(1, 1)], {}, max_attempts=3) == Enriched([], {1: [PostId(1)]}, [])


def test_a_row_becomes_the_post_that_clients_see() -> None:
    user = User(7, "seven")
    assert post_of(ROW, "") == Post(1, "Post 1", "2024-01-01T00:00:00Z", user, False, ["a", "b"], 3)


def test_the_base_url_goes_before_each_key() -> None:
    urls = post_of(ROW, "https://images.example/").image_urls
    assert urls == ["https://images.example/a", "https://images.example/b"]


def test_a_payload_has_the_clients_fields_in_their_order_and_its_author_is_the_owner() -> None:
    bare = Row(1, "", NEW_YEAR, 7, "seven", [], 0)
    assert found_row(bare, "https://images.example/") == Found(
        b'{"id":1,"description":"","created_at":"2024-01-01T00:00:00Z","user":{"id":7,"username":"seven"},'
        b'"is_liked":false,"image_urls":[],"likes_count":0}',
        7,
    )


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (ROW._replace(created_at=None), "the post's created_at is NULL"),  # type: ignore[arg-type]  # a column without NOT NULL
        (ROW._replace(description=None), "the post's description is NULL"),  # type: ignore[arg-type]  # the same
        (ROW._replace(created_at="now"), "the post's created_at is no timestamp"),  # type: ignore[arg-type]  # another type
        (ROW._replace(image_keys=["a", None]), "the key of one of the post's images is NULL"),  # type: ignore[list-item]  # the same
    ],
)
def test_a_row_that_is_no_post_is_refused_by_its_column(row: Row, why: str) -> None:
    with pytest.raises(BadRow) as refused:
        found_row(row, "")
    assert str(refused.value) == why


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


def test_an_instant_with_a_time_zone_is_told_in_utc() -> None:
    assert rfc3339(NEW_YEAR.replace(tzinfo=UTC)) == "2024-01-01T00:00:00Z"
    assert rfc3339(NEW_YEAR.replace(tzinfo=timezone(timedelta(hours=2)))) == "2023-12-31T22:00:00Z"
