"""What a batch must look up, and how the rows become posts.

A batch's posts are looked up by their distinct ids. What is found is published once, in the order
of the batch; what is not found is announced again until it was looked up ``max_attempts`` times,
because an announcement can overtake its transaction; after that it is a dead letter.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from streams.contract import Created, Post, PostId, Publication, User, publication
from streams.windows import Record


class Row(NamedTuple):
    """What the database knows of a post; ``created_at`` is naive, in UTC."""

    id: PostId
    description: str
    created_at: datetime
    user_id: int
    username: str
    image_keys: list[str]
    likes_count: int


class Enriched(NamedTuple):
    """What becomes of a batch: to show, to look up again, and to give up."""

    publications: list[Publication]
    retries: list[Created]
    missing: list[PostId]


def distinct_posts(records: Iterable[Record]) -> list[PostId]:
    """Return the ids that a batch names, each once, in their order."""
    return list(dict.fromkeys(record.post for record in records))


def enrich(
    records: Iterable[Record], rows: Mapping[PostId, Row], *, image_base_url: str, max_attempts: int
) -> Enriched:
    """Join a batch with its rows.

    A post that a batch names twice is decided once: with the lowest of its attempts, so that a new
    announcement is never given up for an old one's sake.
    """
    attempts: dict[PostId, int] = {}
    for record in records:
        attempts[record.post] = min(record.attempt, attempts.get(record.post, record.attempt))
    enriched = Enriched([], [], [])
    for post, attempt in attempts.items():
        if row := rows.get(post):
            enriched.publications.append(publication(post_of(row, image_base_url)))
        elif attempt + 1 < max_attempts:
            enriched.retries.append(Created(post, attempt + 1))
        else:
            enriched.missing.append(post)
    return enriched


def post_of(row: Row, image_base_url: str) -> Post:
    """Turn a row into the post that a client sees."""
    return Post(
        id=row.id,
        description=row.description,
        created_at=rfc3339(row.created_at),
        user=User(row.user_id, row.username),
        # As in the replaced service: a post is seconds old when it is shown, and nobody in particular looks.
        is_liked=False,
        image_urls=[image_base_url + key for key in row.image_keys],
        likes_count=row.likes_count,
    )


def rfc3339(moment: datetime) -> str:
    """Format a naive UTC instant as RFC 3339 (section 5.6): ``Z``, and a fraction only where it is not zero."""
    whole, _, fraction = moment.isoformat().partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"
