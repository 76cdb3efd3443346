"""The posts of the benchmark: all of one size, so that counting bytes counts posts."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import asyncpg

from edge.wire.frames import text_frame
from edge.wire.messages import message
from integration.posts_service import USERS
from streams.contract import FeedRecord, Millis, Post, PostId, Publication, User, encode_feed, encode_post, publication

POST_BYTES: Final = 380
"""A client's message: what the design's figures for the fan-out were measured with."""
FIRST_ID: Final = 10_000_000
"""Ids of eight digits, far above what tests insert, so that they all are of one length."""
_CREATED_AT: Final = datetime(2026, 1, 2, 3, 4, 5)  # naive UTC, as the column is
_KEY: Final = "posts/%d.jpg"
IMAGE_BASE_URL: Final = "https://images.example/"
"""What the benchmark's worker puts before a key."""
_LIKES: Final = 2

# In bulk, by the server itself: rows like any others, with an image and two likes each.
_INSERT: Final = (
    "INSERT INTO posts SELECT n, $1::text, $2::timestamp, 1 FROM generate_series($3::int, $4::int) AS n",
    "INSERT INTO image_key (key, post_id) SELECT format('posts/%s.jpg', n), n FROM generate_series($1::int, $2::int) n",
    "INSERT INTO likes SELECT u, n FROM generate_series($1::int, $2::int) AS n, generate_series(1, $3::int) AS u",
)
_DELETE: Final = (
    "DELETE FROM likes WHERE post_id >= $1",
    "DELETE FROM image_key WHERE post_id >= $1",
    "DELETE FROM posts WHERE id >= $1",
)


def post(id_: int) -> Post:
    """Return the post of an id, as the worker should publish it."""
    return Post(
        id=id_,
        description=_DESCRIPTION,
        created_at=f"{_CREATED_AT.isoformat()}Z",
        user=User(1, USERS[0]),
        is_liked=False,
        image_urls=[IMAGE_BASE_URL + _KEY % id_],
        likes_count=_LIKES,
    )


def _publication(id_: int) -> Publication:
    return publication(PostId(id_), encode_post(post(id_)), 1)


def _message(id_: int) -> bytes:
    return message(_publication(id_))


_DESCRIPTION = ""
_DESCRIPTION = "x" * (POST_BYTES - len(_message(FIRST_ID)))

FRAME_BYTES: Final = len(text_frame(_message(FIRST_ID)))
"""What one post costs on the wire."""


def publications(ids: Iterable[int]) -> list[Publication]:
    """Return these posts as the worker publishes them."""
    return [_publication(id_) for id_ in ids]


def feed_record(ids: Iterable[int]) -> bytes:
    """Encode a record of the feed that shows these posts."""
    return encode_feed(FeedRecord(window=Millis(0), publications=publications(ids)))


def authored_record(posts: Iterable[tuple[int, int]]) -> bytes:
    """Encode a record of the feed that shows posts: their ids, and their authors' ids."""
    made = [publication(PostId(id_), encode_post(post(id_)), author) for id_, author in posts]
    return encode_feed(FeedRecord(window=Millis(0), publications=made))


def message_text(id_: int) -> str:
    """Return what a client gets for this post, without the frame."""
    return _message(id_).decode()


def frames(ids: Iterable[int]) -> bytes:
    """Return what a client gets for these posts."""
    return b"".join(text_frame(message(each)) for each in publications(ids))


@asynccontextmanager
async def inserted(database_url: str, count: int) -> AsyncIterator[list[PostId]]:
    """Have that many new posts in the database, and none of them afterwards."""
    database = await asyncpg.connect(database_url)
    try:
        last = int(
            await database.fetchval(
                "SELECT setval('posts_id_seq', greatest($1::bigint, nextval('posts_id_seq')) + $2)", FIRST_ID, count
            )
        )
        first = last - count + 1
        posts, images, likes = _INSERT
        await database.execute(posts, _DESCRIPTION, _CREATED_AT, first, last)
        await database.execute(images, first, last)
        await database.execute(likes, first, last, _LIKES)
        # As autovacuum would in time: else the plan depends on whether it has passed by already.
        await _vacuum(database)
        yield [PostId(id_) for id_ in range(first, last + 1)]
    finally:
        await database.close()
        database = await asyncpg.connect(database_url)
        try:
            for delete in _DELETE:
                await database.execute(delete, FIRST_ID)
                # Without indexes, each post that is deleted is looked for on every page of the tables that refer to it.
                await _vacuum(database)
        finally:
            await database.close()


async def _vacuum(database: asyncpg.Connection) -> None:
    for table in ("posts", "image_key", "likes"):
        await database.execute(f"VACUUM (ANALYZE) {table}")
