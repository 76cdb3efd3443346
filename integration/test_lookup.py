"""The lookup against a real PostgreSQL; its double in memory keeps the same contract."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.database import NOON, Database, lookup_of
from integration.posts_service import NewPost, insert_posts
from streams.contract import PostId
from streams.lookup import LooksUp, TimedOut, Unavailable, Unreadable
from tests.streams.doubles import MemoryLookup


@pytest.fixture(params=["postgresql", "memory"])
async def lookup(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[LooksUp]:
    if request.param == "memory":
        yield MemoryLookup(database.found())
        return
    real = database.lookup()
    yield real
    await real.close()


async def test_a_post_has_its_images_in_order_its_distinct_likes_and_its_author(
    lookup: LooksUp, database: Database
) -> None:
    await lookup.check()
    assert await lookup.posts(database.ids) == database.found()


async def test_duplicates_are_one_post_and_missing_ids_none(lookup: LooksUp, database: Database) -> None:
    first = database.ids[0]
    assert set(await lookup.posts([first, first, PostId(2**63 - 1), PostId(2**31)])) == {first}
    assert await lookup.posts([]) == {}


async def test_fifty_thousand_ids_are_one_statement(database: Database) -> None:
    lookup = database.lookup(statement_timeout_seconds=60)
    new = [NewPost(f"post {n}", NOON, 1, (f"key-{n}",), (1,)) for n in range(50_000)]
    ids = [PostId(post) for post in await insert_posts(database.connection, new)]
    found = await lookup.posts(ids)
    assert [json.loads(found[post].payload)["description"] for post in ids] == [post.description for post in new]
    await lookup.close()


async def test_the_statement_cannot_write(database: Database, tmp_path: Path) -> None:
    """A statement is read only, whatever its user may do."""
    statement = tmp_path / "lookup.sql"
    statement.write_text(
        "WITH gone AS (DELETE FROM likes RETURNING 1) SELECT 1 AS id, '{}'::json AS payload WHERE 1 = ANY(:ids)"
    )
    lookup = database.lookup(lookup_sql=str(statement))
    with pytest.raises(Unavailable, match="read-only transaction"):
        await lookup.posts(database.ids)
    assert await database.connection.fetchval("SELECT count(*) FROM likes") == 5
    await lookup.close()


async def test_a_locked_table_times_out(database: Database) -> None:
    lookup = database.lookup(statement_timeout_seconds=2)
    async with database.connection.transaction():
        await database.connection.execute("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TimedOut, match="statement timeout"):
            await lookup.check()
        with pytest.raises(TimedOut, match="statement timeout"):
            await lookup.posts(database.ids)
    assert set(await lookup.posts(database.ids)) == set(database.ids)
    await lookup.close()


async def test_an_infinite_timestamp_is_the_last_moment_that_python_knows(database: Database) -> None:
    lookup = database.lookup()
    await database.connection.execute("UPDATE posts SET created_at = 'infinity' WHERE id = $1", database.ids[1])
    found = await lookup.posts(database.ids)
    assert json.loads(found[database.ids[1]].payload)["created_at"] == "9999-12-31T23:59:59.999999Z"
    await lookup.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE posts SET created_at = '0044-03-15 12:00:00 BC' WHERE id = {}",
        "ALTER TABLE posts ALTER created_at DROP NOT NULL; UPDATE posts SET created_at = NULL WHERE id = {}",
        "ALTER TABLE image_key ALTER key DROP NOT NULL; INSERT INTO image_key (key, post_id) VALUES (NULL, {})",
        # As a view or a policy does that fails for one row: P0001.
        """ALTER TABLE posts RENAME TO all_posts;
           CREATE FUNCTION refuse() RETURNS timestamp AS $$ BEGIN RAISE 'not this one'; END $$ LANGUAGE plpgsql;
           CREATE VIEW posts AS SELECT id, description, owner_id,
                  CASE id WHEN {} THEN refuse() ELSE created_at END AS created_at FROM all_posts""",
    ],
    ids=["a year that Python does not know", "a NULL", "a NULL key", "a view that fails"],
)
async def test_a_row_that_is_no_post_is_unreadable_and_no_other(database: Database, change: str) -> None:
    lookup = database.lookup()
    bad = database.ids[1]
    await database.connection.execute(change.format(bad))
    with pytest.raises(Unreadable):
        await lookup.posts(database.ids)
    assert set(await lookup.posts([database.ids[0], database.ids[2]])) == {database.ids[0], database.ids[2]}
    await lookup.close()


async def test_a_timestamp_with_a_time_zone_is_told_in_utc(database: Database) -> None:
    before = await (lookup := database.lookup()).posts(database.ids)
    await database.connection.execute(
        "ALTER TABLE posts ALTER created_at TYPE timestamptz USING created_at AT TIME ZONE 'UTC'"
    )
    assert await lookup.posts(database.ids) == before
    await lookup.close()


async def test_a_missing_table_is_not_the_ids_fault(database: Database) -> None:
    lookup = database.lookup()
    await database.connection.execute("ALTER TABLE likes RENAME TO dislikes")
    with pytest.raises(Unavailable, match='relation "likes" does not exist'):
        await lookup.check()
    with pytest.raises(Unavailable, match='relation "likes" does not exist'):
        await lookup.posts(database.ids)
    await database.connection.execute("ALTER TABLE dislikes RENAME TO likes")
    assert set(await lookup.posts(database.ids)) == set(database.ids)
    await lookup.close()


async def test_a_temporary_file_that_is_too_large_may_be_the_ids_fault(database: Database) -> None:
    """53400: fewer ids can need less."""
    new = [NewPost("long " * 90, NOON, 1, tuple(f"{n}-{k}" + "k" * 150 for k in range(5)), (1,)) for n in range(4_000)]
    ids = [PostId(post) for post in await insert_posts(database.connection, new)]
    lookup = lookup_of(database.with_words("work_mem=64kB&temp_file_limit=100kB"))
    with pytest.raises(Unreadable, match="temp_file_limit"):
        await lookup.posts(ids)
    assert set(await lookup.posts(ids[:10])) == set(ids[:10])
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
