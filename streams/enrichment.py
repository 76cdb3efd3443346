"""What a batch asks the lookup for, and what becomes of its posts.

A batch's posts are looked up by their distinct ids. A post that is found is published once, in the order of the
batch. A post that is not found is announced again until it was looked up ``max_attempts`` times, because an
announcement can overtake its transaction; after that it is a dead letter.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from streams.contract import Post, PostId, Publication, User, encode_post, publication
from streams.windows import Record


class Found(NamedTuple):
    """A post that the lookup found: ``payload`` is the post as clients see it, in JSON; ``author`` its author's id."""

    payload: bytes
    author: int | None


class Row(NamedTuple):
    """What the replaced system's tables hold of a post; a naive ``created_at`` is in UTC."""

    id: int
    description: str
    created_at: datetime
    user_id: int
    username: str
    image_keys: list[str]
    likes_count: int


class BadRow(ValueError):
    """A row that cannot be turned into a post; the message names the column and no value."""


class Enriched(NamedTuple):
    """What becomes of a batch: what is published, what is looked up again (by its next attempt), what is given up."""

    publications: list[Publication]
    retries: dict[int, list[PostId]]
    missing: list[PostId]


def distinct_posts(records: Iterable[Record]) -> list[PostId]:
    """Return the ids that a batch names, each once, in their order."""
    return list(dict.fromkeys(record.post for record in records))


def enrich(records: Iterable[Record], found: Mapping[PostId, Found], *, max_attempts: int) -> Enriched:
    """Decide what becomes of each post of a batch.

    A post that a batch names twice is decided once, with the lowest of its attempts: an old announcement does not
    use up the attempts of a new one.
    """
    attempts: dict[PostId, int] = {}
    for record in records:
        attempts[record.post] = min(record.attempt, attempts.get(record.post, record.attempt))
    enriched = Enriched([], {}, [])
    for post, attempt in attempts.items():
        if one := found.get(post):
            enriched.publications.append(publication(post, one.payload, one.author))
        elif attempt + 1 < max_attempts:
            enriched.retries.setdefault(attempt + 1, []).append(post)
        else:
            enriched.missing.append(post)
    return enriched


def found_row(row: Row, image_base_url: str) -> Found:
    """Turn a row into what is published of it; raises :class:`BadRow`."""
    return Found(encode_post(post_of(row, image_base_url)), row.user_id)


def post_of(row: Row, image_base_url: str) -> Post:
    """Turn a row into the post that a client sees; raises :class:`BadRow` for a NULL or another type in a column."""
    if None in row:
        raise BadRow(f"the post's {Row._fields[row.index(None)]} is NULL")
    if not isinstance(row.created_at, datetime):
        raise BadRow("the post's created_at is no timestamp")
    if None in row.image_keys:
        raise BadRow("the key of one of the post's images is NULL")
    return Post(
        id=row.id,
        description=row.description,
        created_at=rfc3339(row.created_at),
        user=User(row.user_id, row.username),
        # As in the replaced service: one payload is made for all clients.
        is_liked=False,
        image_urls=[image_base_url + key for key in row.image_keys],
        likes_count=row.likes_count,
    )


def rfc3339(moment: datetime) -> str:
    """Format an instant as RFC 3339 (section 5.6) in UTC: ``Z``, and a fraction only where it is not zero.

    A naive instant is in UTC.
    """
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    whole, _, fraction = moment.isoformat().partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"
