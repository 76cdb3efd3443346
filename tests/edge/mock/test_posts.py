"""A mock's posts are the same in every run."""

from datetime import UTC, datetime

import msgspec
import pytest

from edge.feed.position import stamp_of
from edge.mock.posts import AUTHORS, author_of, instant, millis, post_of
from streams.contract import Post, encode_feed, feed_records


def test_a_post_is_a_function_of_seed_and_number() -> None:
    """To the byte, in every version of Python: a cursor has a hash over the record."""
    made = post_of(7, 3, 1.5)
    assert (made.action, made.id, made.author) == ("created", 3, author_of(7, 3))
    assert b'"description":"A neighbour forgot three umbrellas.","created_at":"2026-01-01T00:00:01.5Z"' in bytes(
        made.payload
    )
    assert post_of(7, 3, 1.5) == made
    assert len({bytes(post_of(seed, 3, 1.5).payload) for seed in range(20)}) > 10


def test_a_record_is_the_same_to_the_byte() -> None:
    """This is what every run with these arguments has written, and will write."""
    (record,) = feed_records(millis(0), [post_of(1, number, 0) for number in range(1, 4)])
    assert stamp_of(encode_feed(record)).hex() == "a87e253fed4ae592"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "2026-01-01T00:00:00Z"), (61.25, "2026-01-01T00:01:01.25Z"), (0.1, "2026-01-01T00:00:00.1Z")],
)
def test_times_are_written_as_the_protocol_says(seconds: float, told: str) -> None:
    post = msgspec.json.decode(bytes(post_of(1, 1, seconds).payload), type=Post)
    assert post.created_at == told
    assert datetime.fromisoformat(told) == instant(seconds)
    assert millis(seconds) == datetime.fromisoformat(told).astimezone(UTC).timestamp() * 1000


def test_each_post_is_what_a_client_must_be_able_to_show() -> None:
    """All authors, none to several pictures, texts of any kind; and large numbers."""
    posts = [msgspec.json.decode(bytes(post_of(1, number, 0).payload), type=Post) for number in range(1, 200)]
    assert {post.user.id for post in posts} == set(range(1, len(AUTHORS) + 1))
    assert {post.user.username for post in posts} == set(AUTHORS)
    assert {len(post.image_urls) for post in posts} == {0, 1, 3}
    texts = [post.description for post in posts]
    assert "" in texts
    assert any("\n" in text for text in texts)
    assert any("<b>" in text for text in texts)
    assert max(map(len, texts)) > 1000
    assert post_of(1, 2**62, 0).id == 2**62
