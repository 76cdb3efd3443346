"""Databases of the tests' own in the session's PostgreSQL, with three posts in the replaced system's tables."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from integration.posts_service import NewPost, create_tables, insert_posts
from integration.services import Services
from streams.contract import PostId
from streams.enrichment import Found, Row, found_row
from streams.lookup import Lookup
from streams.settings import Settings

NOON: Final = datetime(2024, 2, 29, 12, 0, 0, 120_000)
POSTS: Final = (
    NewPost("with everything", NOON, 1, ("z-first", "a-second"), (1, 2, 2, 3)),
    NewPost("bare", NOON, 2),
    NewPost("", NOON, 3, ("only",), (3,)),
)


def lookup_of(url: str, **changes: object) -> Lookup:
    """Return the lookup of a database; ``changes`` are further settings."""
    settings = {"amqp_url": "amqp://broker", "database_url": url, "kafka_url": "kafka://broker", **changes}
    return Lookup(Settings.model_validate(settings))


class Database:
    """A database of its own in the session's PostgreSQL."""

    def __init__(self, url: str, connection: asyncpg.Connection) -> None:
        self.url = url
        self.connection = connection
        self.ids: list[PostId] = []

    def lookup(self, **changes: object) -> Lookup:
        """Return the lookup of this database; ``changes`` are further settings."""
        return lookup_of(self.url, **changes)

    @property
    def address(self) -> tuple[str, int]:
        """Where its server listens."""
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def at(self, hosts: str) -> str:
        """Return its URL with other hosts (``host:port``, several with commas)."""
        return self.url.replace("{}:{}".format(*self.address), hosts)

    def with_words(self, words: str) -> str:
        """Return its URL with more parameters."""
        return f"{self.url}{'&' if '?' in self.url else '?'}{words}"

    def found(self) -> dict[PostId, Found]:
        """Return what a lookup of :attr:`ids` finds."""
        users = [(1, "juniper"), (2, "tidepool"), (3, "inkwell")]
        likes = (3, 0, 1)
        rows = [
            Row(post, new.description, new.created_at, *user, list(new.image_keys), count)
            for post, new, user, count in zip(self.ids, POSTS, users, likes, strict=True)
        ]
        return {PostId(row.id): found_row(row, "") for row in rows}


@asynccontextmanager
async def fresh_database(services: Services) -> AsyncIterator[Database]:
    """Make a database with the replaced system's tables and :data:`POSTS`, and drop it at the end."""
    admin = await asyncpg.connect(services.postgres.url)
    name = f"lookup_{secrets.token_hex(4)}"
    await admin.execute(f"CREATE DATABASE {name}")
    base, _, rest = services.postgres.url.rpartition("/")
    url = f"{base}/{name}{rest[rest.index('?') :] if '?' in rest else ''}"
    connection = await asyncpg.connect(url)
    made = Database(url, connection)
    await create_tables(connection)
    made.ids = [PostId(post) for post in await insert_posts(connection, POSTS)]
    yield made
    await connection.close()
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()
