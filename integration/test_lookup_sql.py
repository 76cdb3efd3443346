"""A lookup of the operator's own in a real PostgreSQL: LOOKUP_SQL, and docs/lookup.md's example from end to end."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from integration import topics
from integration.author import author_of
from integration.clients import connect
from integration.conftest import Install
from integration.database import Database
from streams.contract import PostId
from streams.enrichment import Found
from streams.lookup import Lookup, TimedOut, Unavailable, Unreadable, Unusable

TABLES = Path(__file__).with_name("comments.sql")
STATEMENT = Path(__file__).with_name("comments_lookup.sql")
# Above 2^53, where a number that is read as a float loses its last digits.
LARGE = 9_007_199_254_740_993
ROWS = """
    INSERT INTO press.people VALUES (71, 'Juniper');
    INSERT INTO press.articles VALUES (5, E'Rain\\nagain');
    INSERT INTO press.comments VALUES
        (101, 5, 71, 'So wet', 1.10, false, '2024-02-29 12:00:00+00'),
        (102, 5, NULL, 'Indeed', NULL, false, '2024-02-29 14:00:00+02'),
        (103, 5, 71, 'Hidden', 5, true, '2024-02-29 12:00:00+00'),
        (9007199254740993, 5, 71, '', 4.00, false, '2024-02-29 12:00:00+00')
"""
PAYLOADS = {
    101: b'{"id":101,"article":{"id":5,"headline":"Rain\\nagain"},"writer":"Juniper","words":"So wet","rating":1.10,'
    b'"written_at":"2024-02-29T12:00:00Z"}',
    102: b'{"id":102,"article":{"id":5,"headline":"Rain\\nagain"},"writer":"a guest","words":"Indeed","rating":null,'
    b'"written_at":"2024-02-29T12:00:00Z"}',
    LARGE: b'{"id":9007199254740993,"article":{"id":5,"headline":"Rain\\nagain"},"writer":"Juniper","words":"",'
    b'"rating":4.00,"written_at":"2024-02-29T12:00:00Z"}',
}
AUTHORS = {101: 71, 102: None, LARGE: 71}
IDS = [PostId(post) for post in (101, 102, 103, 104, LARGE)]


class Schema:
    """A database whose lookup is asked with a statement of the test's."""

    def __init__(self, database: Database, path: Path) -> None:
        self.database = database
        self._path = path

    def lookup(self, statement: str, **changes: object) -> Lookup:
        self._path.write_text(statement, "utf-8")
        return self.database.lookup(lookup_sql=str(self._path), **changes)


@pytest.fixture
async def schema(database: Database, tmp_path: Path) -> Schema:
    await database.connection.execute(TABLES.read_text("utf-8"))
    await database.connection.execute(ROWS)
    return Schema(database, tmp_path / "lookup.sql")


async def test_comments_are_found_with_all_digits_and_without_spaces(schema: Schema) -> None:
    lookup = schema.lookup(STATEMENT.read_text("utf-8"))
    await lookup.check()
    expected = {PostId(post): Found(payload, AUTHORS[post]) for post, payload in PAYLOADS.items()}
    assert await lookup.posts(IDS) == expected
    assert await lookup.posts([]) == {}
    await lookup.close()


async def test_of_two_rows_the_first_is_taken_and_jsonb_and_small_ids_will_do(schema: Schema) -> None:
    lookup = schema.lookup("""
        SELECT id::smallint, payload::jsonb
        FROM (VALUES (1, '{"n": 1.50}'), (1, '{"n": 2}'), (2, NULL), (2, '3'), (3, '[ 1 ]')) AS t (id, payload)
        WHERE id = ANY(:ids);
    """)
    await lookup.check()
    assert await lookup.posts([PostId(n) for n in (1, 2, 3)]) == {
        PostId(1): Found(b'{"n":1.50}', None),
        PostId(3): Found(b"[1]", None),
    }
    await lookup.close()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELEC 1 WHERE 1 = ANY(:ids)", 'syntax error at or near "SELEC"'),
        ("SELECT 1 AS id; SELECT 2 WHERE 2 = ANY(:ids)", "cannot insert multiple commands into a prepared statement"),
        ("SELECT nothing FROM press.comments WHERE comment = ANY(:ids)", 'column "nothing" does not exist'),
        ("SELECT 1 FROM press.missing WHERE 1 = ANY(:ids)", 'relation "press.missing" does not exist'),
        ("SELECT comment AS id FROM press.comments WHERE comment = ANY(:ids)", "it returns no column payload"),
        (
            "SELECT words AS id, words AS payload, 1.5 AS author FROM press.comments WHERE comment = ANY(:ids)",
            "its column id is text, and must be bigint, integer or smallint; its column payload is text, and must be",
        ),
        (
            "SELECT 1 AS id, to_json(1) AS payload, 1.5 AS author WHERE 1 = ANY(:ids)",
            "its column author is numeric, and must be bigint, integer or smallint",
        ),
        (
            "SELECT 1 AS id, '1'::json AS payload, 1 AS auther WHERE 1 = ANY(:ids)",
            "it returns a column auther, and only id, payload and author are read",
        ),
        (
            "SELECT 1 AS id, '1'::json AS payload WHERE 1 = ANY(:ids) AND $2::text IS NULL",
            "it has parameters of its own: only :ids is given",
        ),
        (
            "DELETE FROM press.comments WHERE comment = ANY(:ids) RETURNING comment AS id, to_json(1) AS payload",
            "cannot execute DELETE in a read-only transaction",
        ),
    ],
)
async def test_a_statement_that_cannot_work_is_refused_at_the_start(schema: Schema, statement: str, said: str) -> None:
    lookup = schema.lookup(statement)
    with pytest.raises(Unusable, match="LOOKUP_SQL is wrong") as refused:
        await lookup.check()
    assert said in str(refused.value)
    await lookup.close()


async def test_rights_are_waited_for(schema: Schema) -> None:
    await schema.database.connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    try:
        schema.database.url = schema.database.url.replace("postcast:postcast@", "guest:guest@")
        lookup = schema.lookup(STATEMENT.read_text("utf-8"))
        for question in (lookup.check(), lookup.posts(IDS)):
            with pytest.raises(Unavailable, match="permission denied for schema press"):
                await question
        await lookup.close()
    finally:
        await schema.database.connection.execute("DROP ROLE guest")


async def test_a_row_that_fails_is_unreadable_and_no_other(schema: Schema) -> None:
    """A cast, a subquery with two rows, a payload that is no text of Unicode."""
    for payload in (
        "json_build_object('n', 1 / (comment - 102))",
        "to_json((SELECT words FROM press.comments WHERE c.comment = 102 OR comment = 101))",
        "CASE WHEN comment = 102 THEN '\"\\ud800\"' ELSE '1' END::json",
    ):
        lookup = schema.lookup(
            "SELECT comment AS id, PAYLOAD AS payload FROM press.comments c WHERE comment = ANY(:ids)".replace(
                "PAYLOAD", payload
            )
        )
        await lookup.check()
        with pytest.raises(Unreadable):
            await lookup.posts(IDS)
        assert set(await lookup.posts([IDS[0]])) == {IDS[0]}
        await lookup.close()


async def test_the_time_limit_holds(schema: Schema) -> None:
    lookup = schema.lookup(
        "SELECT id, to_json(pg_sleep(30)::text) AS payload FROM unnest(:ids) AS id", statement_timeout_seconds=2
    )
    await lookup.check()
    with pytest.raises(TimedOut, match="statement timeout"):
        await lookup.posts(IDS)
    await lookup.close()


async def test_comments_on_articles_reach_the_clients(install: Install, owner: dict[str, str]) -> None:
    """From the queue to a client, with their authors on the feed, by the example of docs/lookup.md."""
    database = await asyncpg.connect(owner["DATABASE_URL"])
    try:
        await database.execute(TABLES.read_text("utf-8"))
        await database.execute(ROWS)
        await database.execute("GRANT USAGE ON SCHEMA press TO postcast_reader")
        await database.execute("GRANT SELECT ON ALL TABLES IN SCHEMA press TO postcast_reader")
        system = install(LOOKUP_SQL=STATEMENT, MAX_ATTEMPTS=1)
        worker, edge = system.worker(), system.edge()
        for process in (worker, edge):
            await asyncio.to_thread(process.until_ready)
        async with await connect(edge.websocket) as client, author_of(system, owner) as author:
            await author.announce(*IDS)
            await client.until_shown(len(PAYLOADS))
            messages = [f'{{"action":"created","payload":{text.decode()}}}' for text in PAYLOADS.values()]
            assert sorted(client.raw) == sorted(messages)
            records = await topics.feed_records(owner["KAFKA_URL"], system.feed)
            assert {one.id: one.author for record in records for one in record.publications} == AUTHORS
    finally:
        await database.execute("DROP SCHEMA press CASCADE")
        await database.close()
