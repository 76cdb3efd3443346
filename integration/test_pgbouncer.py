"""Behind PgBouncer in transaction mode each transaction may be given another connection of the server."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from integration.author import author_of
from integration.clients import connect
from integration.conftest import Install, lacking
from integration.database import Database, lookup_of
from integration.packages import MissingPackagesError
from integration.pgbouncer import PgBouncer
from integration.services import Services
from streams.lookup import TimedOut, Unavailable

_OWN = "SELECT id, row_to_json(posts) AS payload, owner_id AS author FROM posts WHERE id = ANY(:ids)"


@pytest.fixture
def pooler(services: Services) -> Iterator[PgBouncer]:
    with tempfile.TemporaryDirectory(dir=services.scratch) as scratch:
        Path(scratch).chmod(0o711)  # its account passes through
        try:
            pooler = PgBouncer(services.postgres.url, Path(scratch))
        except MissingPackagesError as error:
            lacking(str(error))
        pooler.start()
        yield pooler
        pooler.close()


def through(pooler: PgBouncer, database: Database) -> str:
    return database.at(pooler.address)


async def test_two_workers_share_one_connection_of_the_server(
    database: Database, pooler: PgBouncer, tmp_path: Path
) -> None:
    """Each transaction begins on a connection that the other one used last; their statements differ."""
    own = tmp_path / "lookup.sql"
    own.write_text(_OWN)
    one, other = lookup_of(through(pooler, database)), lookup_of(through(pooler, database), lookup_sql=str(own))
    await asyncio.gather(one.check(), other.check())
    expected = database.found()
    for _ in range(50):
        found, own_found = await asyncio.gather(one.posts(database.ids), other.posts(database.ids[:2]))
        assert found == expected
        assert {post: author for post, (_, author) in own_found.items()} == dict(
            zip(database.ids[:2], (1, 2), strict=True)
        )
    servers = await database.connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    assert servers == 1
    for lookup in (one, other):
        await lookup.close()


async def test_the_limit_and_the_promise_to_read_only_hold_for_our_transactions_and_no_other(
    database: Database, pooler: PgBouncer, tmp_path: Path
) -> None:
    writing = tmp_path / "lookup.sql"
    writing.write_text(
        "WITH gone AS (DELETE FROM likes RETURNING 1) SELECT id, '1'::json AS payload FROM posts WHERE id = ANY(:ids)"
    )
    url = through(pooler, database)
    lookup, writer = lookup_of(url, statement_timeout_seconds=2), lookup_of(url, lookup_sql=str(writing))
    async with database.connection.transaction():
        await database.connection.execute("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TimedOut, match="statement timeout"):
            await lookup.posts(database.ids)
    assert set(await lookup.posts(database.ids)) == set(database.ids)
    with pytest.raises(Unavailable, match="read-only transaction"):
        await writer.posts(database.ids)
    stranger = await asyncpg.connect(url, statement_cache_size=0)
    async with stranger.transaction():
        assert await stranger.fetchval("SHOW statement_timeout") == "0"
        assert await stranger.fetchval("SHOW transaction_read_only") == "off"
        # What is prepared stays in the connection of the server, whoever gets it next.
        assert await stranger.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == 0
    await stranger.close()
    for each in (lookup, writer):
        await each.close()


async def test_a_pooler_without_a_connection_to_spare_is_waited_for(database: Database, pooler: PgBouncer) -> None:
    """Another user of the pooler holds the only connection: no id is to blame for that."""
    url = through(pooler, database)
    lookup = lookup_of(url, statement_timeout_seconds=2)
    await lookup.check()
    holder = await asyncpg.connect(url, statement_cache_size=0)
    async with holder.transaction():
        with pytest.raises(Unavailable):
            await lookup.posts(database.ids)
    assert set(await lookup.posts(database.ids)) == set(database.ids)
    await holder.close()
    await lookup.close()


async def test_posts_are_shown_by_two_workers_behind_it(
    install: Install, owner: dict[str, str], pooler: PgBouncer
) -> None:
    system = install(DATABASE_URL=pooler.url)
    workers, edge = [system.worker(), system.worker()], system.edge()
    for process in (*workers, edge):
        await asyncio.to_thread(process.until_ready)
    async with await connect(edge.websocket) as client, author_of(system, owner) as author:
        ids = [post for _ in range(5) for post in await author.publish(20)]
        await client.until_shown(len(ids))
        assert sorted(client.ids) == sorted(ids)
