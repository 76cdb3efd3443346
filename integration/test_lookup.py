"""The lookup against a real PostgreSQL; its double in memory keeps the same contract."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg
import pytest

from integration.posts_service import NewPost, create_tables, insert_posts
from integration.services import Services
from streams.completion import LooksUp
from streams.contract import PostId
from streams.enrichment import Row
from streams.lookup import Lookup, TimedOut, Unavailable, Unreadable
from streams.settings import Settings
from tests.streams.doubles import MemoryLookup

NOON = datetime(2024, 2, 29, 12, 0, 0, 120_000)
POSTS = (
    NewPost("with everything", NOON, 1, ("z-first", "a-second"), (1, 2, 2, 3)),
    NewPost("bare", NOON, 2),
    NewPost("", NOON, 3, ("only",), (3,)),
)


class Database:
    """A database of its own in the session's PostgreSQL."""

    def __init__(self, url: str, connection: asyncpg.Connection) -> None:
        self.url = url
        self.connection = connection
        self.ids: list[PostId] = []

    def lookup(self, **changes: object) -> Lookup:
        settings = {"amqp_url": "amqp://broker", "database_url": self.url, "kafka_url": "kafka://broker", **changes}
        return Lookup(Settings.model_validate(settings))

    def rows(self) -> list[Row]:
        users = [(1, "juniper"), (2, "tidepool"), (3, "inkwell")]
        likes = (3, 0, 1)
        return [
            Row(post, new.description, new.created_at, *user, list(new.image_keys), count)
            for post, new, user, count in zip(self.ids, POSTS, users, likes, strict=True)
        ]


@pytest.fixture
async def database(services: Services) -> AsyncIterator[Database]:
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


@pytest.fixture(params=["postgresql", "memory"])
async def lookup(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[LooksUp]:
    if request.param == "memory":
        yield MemoryLookup(database.rows())
        return
    real = database.lookup()
    yield real
    await real.close()


async def test_a_post_has_its_images_in_order_and_its_distinct_likes(lookup: LooksUp, database: Database) -> None:
    assert await lookup.posts(database.ids) == {row.id: row for row in database.rows()}


async def test_duplicates_are_one_row_and_missing_ids_none(lookup: LooksUp, database: Database) -> None:
    first = database.ids[0]
    assert set(await lookup.posts([first, first, PostId(2**63 - 1), PostId(2**31)])) == {first}
    assert await lookup.posts([]) == {}


async def test_fifty_thousand_ids_are_one_statement(database: Database) -> None:
    lookup = database.lookup(statement_timeout_seconds=60)
    new = [NewPost(f"post {n}", NOON, 1, (f"key-{n}",), (1,)) for n in range(50_000)]
    ids = [PostId(post) for post in await insert_posts(database.connection, new)]
    rows = await lookup.posts(ids)
    assert [rows[post].description for post in ids] == [post.description for post in new]
    await lookup.close()


async def test_the_statement_cannot_write(database: Database) -> None:
    """The lookup's connections are read only, whatever its user may do."""
    lookup = database.lookup()
    async with lookup._engine.connect() as connection:  # noqa: SLF001 - the promise is about these connections
        mode = (await connection.exec_driver_sql("SHOW default_transaction_read_only")).scalar_one()
    assert mode == "on"
    await lookup.close()


async def test_a_locked_table_times_out(database: Database) -> None:
    lookup = database.lookup(statement_timeout_seconds=0.3)
    async with database.connection.transaction():
        await database.connection.execute("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TimedOut, match="statement timeout"):
            await lookup.posts(database.ids)
    assert set(await lookup.posts(database.ids)) == set(database.ids)
    await lookup.close()


@pytest.mark.parametrize("moment", ["infinity", "0044-03-15 12:00:00 BC"])
async def test_a_row_that_cannot_be_decoded_is_unreadable(database: Database, moment: str) -> None:
    lookup = database.lookup()
    bad = database.ids[1]
    await database.connection.execute("UPDATE posts SET created_at = $1::text::timestamp WHERE id = $2", moment, bad)
    try:
        rows = await lookup.posts([bad])
    except Unreadable:
        pass
    else:
        # asyncpg reads infinity as the last moment that Python knows.
        assert rows[bad].created_at.year == 9999
    assert set(await lookup.posts([database.ids[0]])) == {database.ids[0]}
    await lookup.close()


async def test_a_missing_table_is_not_the_ids_fault(database: Database) -> None:
    lookup = database.lookup()
    await database.connection.execute("ALTER TABLE likes RENAME TO dislikes")
    with pytest.raises(Unavailable, match='relation "likes" does not exist'):
        await lookup.posts(database.ids)
    await database.connection.execute("ALTER TABLE dislikes RENAME TO likes")
    assert set(await lookup.posts(database.ids)) == set(database.ids)
    await lookup.close()


async def test_connections_that_the_server_ended_go_unnoticed(database: Database) -> None:
    lookup = database.lookup()
    await lookup.posts(database.ids)
    ended = await database.connection.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert ended >= 1
    assert set(await lookup.posts(database.ids)) == set(database.ids)
    await lookup.close()


async def test_nobody_listening_is_unavailable(unused_tcp_port: int) -> None:
    settings = {
        "amqp_url": "amqp://broker",
        "database_url": f"postgres://user:secret@127.0.0.1:{unused_tcp_port}/posts",
        "kafka_url": "kafka://broker",
    }
    lookup = Lookup(Settings.model_validate(settings))
    with pytest.raises(Unavailable) as unavailable:
        await lookup.posts([PostId(1)])
    assert "secret" not in str(unavailable.value)
    await lookup.close()


async def test_a_server_that_answers_nothing_is_unavailable_within_seconds() -> None:
    """As a database behind a dropped network: the kernel takes the connection, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {
            "amqp_url": "amqp://broker",
            "database_url": f"postgres://user@127.0.0.1:{silent.getsockname()[1]}/posts?sslmode=disable",
            "kafka_url": "kafka://broker",
        }
        lookup = Lookup(Settings.model_validate(settings))
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable):
                await lookup.posts([PostId(1)])
        await lookup.close()
