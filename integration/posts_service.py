"""The Posts service of the replaced system, in miniature: its tables, its inserts, its announcements.

``python -m integration.posts_service`` inserts a post about once a second and announces its id. The functions
are the tests' way to do the same, one by one or in bulk.
"""

import asyncio
import os
import random
import signal
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aio_pika
import asyncpg
from aio_pika.abc import AbstractChannel
from aiormq import Channel
from aiormq.abc import ChannelFrame
from aiormq.exceptions import ChannelInvalidStateError
from pamqp import commands
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from integration.demo_posts import Texts
from integration.probes import NOT_READY

QUEUE_NAME: Final = "created-posts"
MAX_LENGTH: Final = 500
"""How many characters the column of a post's text takes."""
USERS: Final = (
    "juniper",
    "tidepool",
    "inkwell",
    "copperkettle",
    "slowtrain",
    "papercrane",
    "northlight",
    "mothandlamp",
)

_MARK: Final = "Made by the demo of Postcast: free to be written to"
_FRAME_BYTES: Final = 64 * 1024
"""Into what a long body is cut: half of the largest frame that RabbitMQ agrees to unless it is told otherwise."""
_RETRY_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = (0.5, 1.5)
"""From one post to the next: about a second, and not like a metronome."""


@dataclass(frozen=True)
class NewPost:
    """A post to insert. ``created_at`` is naive UTC; ``liked_by`` holds users' ids and may repeat one."""

    description: str
    created_at: datetime
    owner_id: int
    image_keys: tuple[str, ...] = ()
    liked_by: tuple[int, ...] = ()


async def prepare(connection: asyncpg.Connection) -> bool:
    """Make the tables where there are none; say whether the tables are the demo's, made now or earlier.

    Tables that somebody else made are not touched.
    """
    if await connection.fetchval("SELECT to_regclass('posts') IS NULL"):
        async with connection.transaction():
            await create_tables(connection)
            await connection.execute(f"COMMENT ON TABLE posts IS '{_MARK}'")
        return True
    return bool(await connection.fetchval("SELECT obj_description('posts'::regclass) = $1", _MARK))


async def create_tables(connection: asyncpg.Connection) -> None:
    """Create the replaced system's tables with :data:`USERS`, less the constraints that no like could satisfy.

    ``likes`` refers to ``posts`` by ``user_id`` and to ``users`` by ``post_id`` in the original.
    """
    for name in ("schema.sql", "demo.sql"):
        await connection.execute(Path(__file__).with_name(name).read_text("utf-8"))


async def insert_posts(connection: asyncpg.Connection, posts: Sequence[NewPost]) -> list[int]:
    """Insert posts with their images and likes in one transaction and return their ids, in the same order."""
    async with connection.transaction():
        rows = await connection.fetch("SELECT nextval('posts_id_seq') AS id FROM generate_series(1, $1)", len(posts))
        ids = [int(row["id"]) for row in rows]
        numbered = list(zip(ids, posts, strict=True))
        await connection.copy_records_to_table(
            "posts",
            columns=["id", "description", "created_at", "owner_id"],
            records=[(id_, post.description, post.created_at, post.owner_id) for id_, post in numbered],
        )
        await connection.copy_records_to_table(
            "image_key",
            columns=["key", "post_id"],
            records=[(key, id_) for id_, post in numbered for key in post.image_keys],
        )
        await connection.copy_records_to_table(
            "likes",
            columns=["user_id", "post_id"],
            records=[(user, id_) for id_, post in numbered for user in post.liked_by],
        )
    return ids


async def declare_queue(channel: AbstractChannel, name: str = QUEUE_NAME) -> None:
    """Declare the queue as the replaced system's producer does: not durable, not exclusive, kept when unused."""
    await channel.declare_queue(name, durable=False, exclusive=False, auto_delete=False)


async def announce(channel: AbstractChannel, bodies: Iterable[bytes], queue: str = QUEUE_NAME) -> None:
    """Publish each body as the replaced system does: to the default exchange and without any property.

    Returns when RabbitMQ has them in the queue. The frames are made here, because the client would add a message id
    and a delivery mode to each. ``channel`` must be opened with ``publisher_confirms=False``: it counts what it
    publishes itself, and would not know of these.
    """
    underlay = await channel.get_underlay_channel()
    assert isinstance(underlay, Channel)  # aio_pika has no other
    for body in bodies:
        frames: list[Frame | ContentHeader | ContentBody] = [
            commands.Basic.Publish(exchange="", routing_key=queue),
            ContentHeader(body_size=len(body), properties=commands.Basic.Properties()),
            *_body_frames(body),
        ]
        await underlay.write_queue.put(ChannelFrame.marshall(channel_number=underlay.number, frames=frames))
    # A channel's commands are carried out in order: the answer to this one tells that the others are done.
    await channel.declare_queue(queue, passive=True)


def _body_frames(body: bytes) -> Iterator[ContentBody]:
    for start in range(0, len(body), _FRAME_BYTES):
        yield ContentBody(body[start : start + _FRAME_BYTES])


def picture_key(chance: random.Random) -> str:
    """Make up the key of a picture that the demo draws."""
    return f"pictures/{uuid.UUID(int=chance.getrandbits(128))}.svg"


def demo_post(users: Sequence[int], chance: random.Random, texts: Texts) -> NewPost:
    """Make up a pleasant post with up to three images and some likes, one of them twice now and then."""
    liked_by = chance.sample(users, k=chance.randrange(len(users)))
    return NewPost(
        description=texts.next(),
        created_at=datetime.now(UTC).replace(tzinfo=None),
        owner_id=chance.choice(users),
        # Most have none: a page of nothing but pictures shows no posts.
        image_keys=tuple(picture_key(chance) for _ in range(chance.choice((0, 0, 0, 1, 2, 3)))),
        liked_by=(*liked_by, *liked_by[: chance.randrange(2)]),
    )


async def _post_for_ever(amqp_url: str, database_url: str, queue: str) -> None:
    chance = random.Random()  # noqa: S311 - it makes up posts, not secrets
    texts = Texts(chance)
    while True:
        try:
            await _post_while_connected(amqp_url, database_url, queue, chance, texts)
        # The last is what a channel raises whose connection RabbitMQ has ended.
        except (*NOT_READY, ChannelInvalidStateError) as error:
            print(f"posts: lost a connection, will try again: {error}", file=sys.stderr, flush=True)
            await asyncio.sleep(_RETRY_SECONDS)


async def _post_while_connected(
    amqp_url: str, database_url: str, queue: str, chance: random.Random, texts: Texts
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        users = [int(row["id"]) for row in await connection.fetch("SELECT id FROM users ORDER BY id")]
        async with await aio_pika.connect(amqp_url) as broker:
            channel = await channel_to(broker, queue)
            while True:
                ids = await insert_posts(connection, [demo_post(users, chance, texts)])
                await announce(channel, [str(id_).encode("ascii") for id_ in ids], queue)
                print(f"posts: inserted and announced post {ids[0]}", flush=True)
                await asyncio.sleep(chance.uniform(*_PAUSE_SECONDS))
    finally:
        await connection.close(timeout=_RETRY_SECONDS)


async def channel_to(broker: aio_pika.abc.AbstractConnection, queue: str) -> AbstractChannel:
    """Open a channel and declare the queue; one that is there already in another form is used as it is."""
    channel = await broker.channel(publisher_confirms=False)
    try:
        await declare_queue(channel, queue)
    except aio_pika.exceptions.ChannelPreconditionFailed:
        return await broker.channel(publisher_confirms=False)
    return channel


async def publish(connection: asyncpg.Connection, post: NewPost, *, amqp_url: str, queue: str) -> int:
    """Insert a post and announce it, on a connection to RabbitMQ of its own; return its id."""
    (number,) = await insert_posts(connection, [post])
    async with await aio_pika.connect(amqp_url) as broker:
        await announce(await channel_to(broker, queue), [b"%d" % number], queue)
    return number


async def _main() -> None:
    posting = asyncio.create_task(
        _post_for_ever(os.environ["AMQP_URL"], os.environ["DATABASE_URL"], os.environ.get("QUEUE_NAME", QUEUE_NAME))
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, posting.cancel)
    try:
        await posting
    except asyncio.CancelledError:
        print("posts: ended", flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
