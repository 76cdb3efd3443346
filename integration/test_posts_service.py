"""The demo Posts service does what the replaced system's does, to the byte."""

import asyncio
import contextlib
import os
import random
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aio_pika
import asyncpg
import pytest
from pamqp import commands

from integration import posts_service
from integration.child import Child
from integration.demo_posts import Texts
from integration.posts_service import USERS, NewPost
from integration.services import Services

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC).replace(tzinfo=None)


@pytest.fixture
async def connection(services: Services) -> AsyncIterator[asyncpg.Connection]:
    """Give each test an empty database of its own."""
    server = await asyncpg.connect(services.postgres.url)
    name = f"posts_{uuid.uuid4().hex}"
    await server.execute(f"CREATE DATABASE {name}")
    connection = await asyncpg.connect(services.postgres.url, database=name)
    yield connection
    await connection.close()
    await server.execute(f"DROP DATABASE {name}")
    await server.close()


async def test_the_tables_are_made_once_and_known_again(connection: asyncpg.Connection) -> None:
    assert await posts_service.prepare(connection)
    assert await posts_service.prepare(connection)
    rows = await connection.fetch("SELECT username FROM users ORDER BY id")
    assert tuple(row["username"] for row in rows) == USERS


async def test_somebody_s_own_tables_are_not_touched(connection: asyncpg.Connection) -> None:
    await posts_service.create_tables(connection)
    await connection.execute("DELETE FROM users")
    assert not await posts_service.prepare(connection)
    assert await connection.fetchval("SELECT count(*) FROM users") == 0


async def test_posts_are_inserted_whole_and_their_ids_are_in_the_order_given(connection: asyncpg.Connection) -> None:
    await posts_service.create_tables(connection)
    posts = [
        NewPost("plain", NOON, owner_id=1),
        NewPost("with all", NOON, owner_id=2, image_keys=("b", "a"), liked_by=(3, 3, 8)),
    ]
    first, second = await posts_service.insert_posts(connection, posts)
    rows = await connection.fetch("SELECT id, description, created_at, owner_id FROM posts ORDER BY id")
    assert [tuple(row) for row in rows] == [(first, "plain", NOON, 1), (second, "with all", NOON, 2)]
    rows = await connection.fetch("SELECT key, post_id FROM image_key ORDER BY id")
    assert [tuple(row) for row in rows] == [("b", second), ("a", second)]
    rows = await connection.fetch("SELECT user_id, post_id FROM likes ORDER BY user_id")
    assert [tuple(row) for row in rows] == [(3, second), (3, second), (8, second)]


async def test_a_window_full_of_posts_is_inserted_at_once(connection: asyncpg.Connection) -> None:
    await posts_service.create_tables(connection)
    posts = [NewPost(f"post {number}", NOON, owner_id=1) for number in range(20_000)]
    ids = await posts_service.insert_posts(connection, posts)
    last = await connection.fetchval("SELECT description FROM posts WHERE id = $1", ids[-1])
    assert (len(set(ids)), last) == (20_000, "post 19999")


async def test_an_announcement_is_a_bare_body_without_any_property(services: Services) -> None:
    bodies = [b"1", b"", b"9" * 1_000_000, b"2"]
    async with await aio_pika.connect(services.rabbitmq.url) as broker:
        channel = await broker.channel(publisher_confirms=False)
        await posts_service.declare_queue(channel, "announced")
        await posts_service.announce(channel, bodies, "announced")
        queue = await channel.declare_queue("announced", passive=True)
        assert queue.declaration_result.message_count == len(bodies)
        underlay = await channel.get_underlay_channel()
        for body in bodies:
            delivery = await underlay.basic_get("announced", no_ack=True)
            assert isinstance(delivery.delivery, commands.Basic.GetOk)
            assert (delivery.delivery.exchange, delivery.delivery.routing_key) == ("", "announced")
            assert delivery.body == body
            assert dict(delivery.header.properties) == dict(commands.Basic.Properties())


async def test_the_demo_goes_on_when_rabbitmq_was_restarted(
    services: Services, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    """The producer's queue is not durable: it is declared again."""
    await posts_service.create_tables(connection)
    parts = urlsplit(services.postgres.url)
    environment = {
        **os.environ,
        **services.environment,
        "DATABASE_URL": urlunsplit(parts._replace(path=f"/{await connection.fetchval('SELECT current_database()')}")),
        "QUEUE_NAME": "restarted",
    }
    demo = Child(
        [sys.executable, "-m", "integration.posts_service"], log=tmp_path / "demo.log", environment=environment
    )
    demo.start()
    try:
        await announced(services, "restarted")
        await asyncio.to_thread(services.rabbitmq.restart)
        await announced(services, "restarted")
        assert demo.is_alive(), demo.tail()
    finally:
        demo.stop()


async def announced(services: Services, queue: str) -> None:
    """Return when there is something in a queue, and take it."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(aio_pika.exceptions.AMQPError, ConnectionError):
                async with await aio_pika.connect(services.rabbitmq.url) as broker:
                    channel = await broker.channel()
                    found = await channel.declare_queue(queue, passive=True)
                    if await found.get(no_ack=True, fail=False):
                        return
            await asyncio.sleep(0.1)


def test_demo_posts_are_varied_and_some_are_liked_twice_by_one_user() -> None:
    users = [1, 2, 3, 4, 5]
    chance = random.Random(1)  # noqa: S311 - posts, not secrets
    texts = Texts(chance)
    posts = [posts_service.demo_post(users, chance, texts) for _ in range(200)]
    assert {len(post.image_keys) for post in posts} == {0, 1, 2, 3}
    assert {post.owner_id for post in posts} == set(users)
    assert {len(post.liked_by) - len(set(post.liked_by)) for post in posts} == {0, 1}
    keys = [key for post in posts for key in post.image_keys]
    assert len(set(keys)) == len(keys)
    assert len({post.description for post in posts[:60]}) == 60
    assert max(len(post.description) for post in posts) <= 500
