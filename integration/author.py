"""Whoever writes posts in a test: inserts them, announces them as the replaced system does, knows what to expect."""

import json
import random
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import aio_pika
import asyncpg
from aio_pika.abc import AbstractChannel

from integration.posts_service import NewPost, announce, declare_queue, insert_posts
from integration.system import System

# The payload of a post in PostgreSQL's own words, and one post at a time: nothing in it is shared with the product.
_PAYLOAD: Final = """
    SELECT json_build_object(
        'id', p.id,
        'description', p.description,
        'created_at', regexp_replace(to_char(p.created_at, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '\\.?0+$', '') || 'Z',
        'user', json_build_object('id', u.id, 'username', u.username),
        'is_liked', false,
        'image_urls', coalesce((SELECT json_agg($2 || key ORDER BY id) FROM image_key WHERE post_id = p.id), '[]'),
        'likes_count', (SELECT count(*) FROM (SELECT DISTINCT user_id FROM likes WHERE post_id = p.id) AS who)
    ) FROM posts p JOIN users u ON u.id = p.owner_id WHERE p.id = $1
"""
# Seconds that are whole, and fractions of one to six digits, since each is written in a way of its own.
_FRACTIONS: Final = (0, 500_000, 120_000, 123_456, 1, 100_000, 120)
_DESCRIPTIONS: Final = ("First light", 'Quotes " and \\ and /', "Zeile\nfür Zeile", "お茶の時間です 🌿", "")


class Author:
    """Made by :func:`author_of`."""

    def __init__(self, system: System, owner_url: str, channel: AbstractChannel) -> None:
        self._system = system
        self._owner_url = owner_url
        self._channel = channel
        self._chance = random.Random()  # noqa: S311 - any posts will do

    async def insert(self, count: int) -> list[int]:
        """Insert posts of all kinds and return their ids."""
        return await self.insert_posts([self._new_post(number) for number in range(count)])

    async def insert_posts(self, posts: Sequence[NewPost]) -> list[int]:
        """Insert these posts and return their ids."""
        async with self.database() as database:
            return await insert_posts(database, posts)

    async def announce(self, *bodies: bytes | int) -> None:
        """Announce ids, or whatever a body may be, and return when the queue has them."""
        encoded = [body if isinstance(body, bytes) else b"%d" % body for body in bodies]
        await announce(self._channel, encoded, self._system.queue)

    async def publish(self, count: int) -> list[int]:
        """Insert posts and announce them in one burst; return their ids."""
        ids = await self.insert(count)
        await self.announce(*ids)
        return ids

    async def reserve(self, count: int = 1) -> list[int]:
        """Return ids that no post has yet, and no other will get."""
        async with self.database() as database:
            rows = await database.fetch("SELECT nextval('posts_id_seq') AS id FROM generate_series(1, $1)", count)
            return [row["id"] for row in rows]

    async def insert_as(self, *ids: int) -> None:
        """Insert posts under reserved ids."""
        async with self.database() as database:
            await database.executemany(
                "INSERT INTO posts (id, description, created_at, owner_id) VALUES ($1, 'late', '2026-01-02', 1)",
                [(id_,) for id_ in ids],
            )

    async def expected(self, ids: Iterable[int]) -> list[dict[str, Any]]:
        """Return what clients should be shown for these posts, as the database says."""
        base = self._system.environment["IMAGE_BASE_URL"]
        async with self.database() as database:
            statement = await database.prepare(_PAYLOAD)
            return [json.loads(await statement.fetchval(id_, base)) for id_ in ids]

    async def queued(self) -> int:
        """Return how many messages the queue holds that are not being delivered."""
        state = (await self._channel.declare_queue(self._system.queue, passive=True)).declaration_result
        assert state.message_count is not None
        return state.message_count

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """Open a connection that may write, for as long as it is needed: tests stop the database now and then."""
        connection = await asyncpg.connect(self._owner_url)
        try:
            yield connection
        finally:
            await connection.close()

    def _new_post(self, number: int) -> NewPost:
        chance = self._chance
        likes = [chance.randint(1, 8) for _ in range(chance.randrange(4))]
        return NewPost(
            description=_DESCRIPTIONS[number % len(_DESCRIPTIONS)],
            created_at=datetime(2026, 2, 3, 4, 5, 6)
            + timedelta(seconds=number, microseconds=_FRACTIONS[number % len(_FRACTIONS)]),
            owner_id=chance.randint(1, 8),
            # Keys whose own order says nothing.
            image_keys=tuple(f"{uuid.UUID(int=chance.getrandbits(128))}.jpg" for _ in range(number % 4)),
            liked_by=(*likes, *likes[:1]),
        )


@asynccontextmanager
async def author_of(system: System, owner: dict[str, str], *, declare: bool = True) -> AsyncIterator[Author]:
    """Let somebody write posts for a system; ``declare``: declare the queue, not durable, as the producer does."""
    async with await aio_pika.connect(owner["AMQP_URL"]) as broker:
        channel = await broker.channel(publisher_confirms=False)
        if declare:
            await declare_queue(channel, system.queue)
        yield Author(system, owner["DATABASE_URL"], channel)
