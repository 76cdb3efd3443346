"""Posts that are not in the database when they are announced, or not in a form that can be read."""

import asyncio
import time
from typing import Final

from integration.faults.authors import author_sql
from integration.faults.installation import WINDOW_SECONDS
from integration.faults.scene import Scene
from integration.faults.schedule import Fault

_INSERT: Final = (
    "INSERT INTO posts (id, description, created_at, owner_id) "  # noqa: S608 - of our own words
    f"VALUES ($1::int, 'late', '2026-01-01', {author_sql('$1::int')}) "
    "ON CONFLICT DO NOTHING RETURNING id"
)
# A moment that PostgreSQL has and Python has not.
_INSERT_UNREADABLE: Final = (
    "INSERT INTO posts (description, created_at, owner_id) VALUES ('old', '0044-03-15 12:00 BC', 1) RETURNING id"
)
_LATE_SECONDS: Final = 1.3 * WINDOW_SECONDS
"""After its first lookup, at a window's end at the latest, and before its third, two windows after the first."""


async def late(scene: Scene, _: Fault) -> str:
    """Announce a post, and insert it later."""
    post = await announce_absent(scene)
    confirmed = time.monotonic()
    await asyncio.sleep(_LATE_SECONDS)
    await insert(scene, post)
    return f"inserted {time.monotonic() - confirmed:.1f} s after its announcement"


async def announce_absent(scene: Scene) -> int:
    """Announce a post that is not in the database, and return its id."""
    post = await scene.execute("SELECT nextval('posts_id_seq')")
    assert isinstance(post, int)
    await scene.announcer.announce([post], is_there=False)
    return post


async def insert(scene: Scene, post: int) -> None:
    """Insert a post that was announced already."""
    await scene.execute(_INSERT, post)
    scene.announcer.exists(post)


async def deleted(scene: Scene, _: Fault) -> str:
    """Announce a post that has been deleted."""
    [post] = await scene.insert(1)
    await scene.execute("DELETE FROM posts WHERE id = $1", post)
    await scene.announcer.announce([post], "missing")
    return f"post {post} was deleted before its announcement"


async def undecodable(scene: Scene, _: Fault) -> str:
    """Announce a post whose row no client of PostgreSQL in Python can read."""
    post = await scene.execute(_INSERT_UNREADABLE)
    assert isinstance(post, int)
    await scene.announcer.announce([post], "unreadable")
    return f"post {post} is from 44 BC"
