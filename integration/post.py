"""``make post TEXT="…"``: publishes a post in a running demo, by the way that the replaced system took."""

import asyncio
import os
import random
import sys
from datetime import UTC, datetime

import asyncpg

from integration import posts_service
from integration.demo import Demo, NoDemoError
from integration.posts_service import MAX_LENGTH, NewPost
from integration.probes import NOT_READY


def main(text: str) -> int:
    """Publish; return the exit code: 1 with a sentence for what stands in the way."""
    try:
        print(f"post: {_post(text)}")
    except NoDemoError as error:
        print(f"post: {error}", file=sys.stderr)
        return 1
    except NOT_READY as error:
        print(f"post: the demo's services do not answer: {error}", file=sys.stderr)
        return 1
    return 0


def _post(text: str) -> str:
    if not 0 < len(text) <= MAX_LENGTH:
        raise NoDemoError(f'the text must have 1 to {MAX_LENGTH} characters: make post TEXT="Hello"')
    port = os.environ.get("EDGE_PORT", "")
    demo = Demo.find(int(port) if port.isdecimal() else None)
    if not demo.shows_posts:
        raise NoDemoError("the tables in that database are somebody's own, and are only read")
    number, author = asyncio.run(publish(demo, text))
    return f"{author} has published post {number}; http://127.0.0.1:{demo.edge_port}/ shows it after its window"


async def publish(demo: Demo, text: str) -> tuple[int, str]:
    """Insert a post of one of the demo's users and announce it; return its id and the user's name."""
    connection = await asyncpg.connect(demo.database_url)
    try:
        author = random.choice(await connection.fetch("SELECT id, username FROM users"))  # noqa: S311 - anybody will do
        post = NewPost(text, datetime.now(UTC).replace(tzinfo=None), author["id"])
        number = await posts_service.publish(connection, post, amqp_url=demo.amqp_url, queue=demo.queue)
    finally:
        await connection.close()
    return number, author["username"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
