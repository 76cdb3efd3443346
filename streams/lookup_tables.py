"""The lookup's statement for the tables of the replaced system."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    any_,
    bindparam,
    distinct,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.contract import PostId
from streams.enrichment import Found, Row, found_row

_METADATA: Final = MetaData()
_POSTS: Final = Table(
    "posts",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("description", String),
    Column("created_at", DateTime),
    Column("owner_id", Integer),
)
_USERS: Final = Table("users", _METADATA, Column("id", Integer, primary_key=True), Column("username", String))
_IMAGES: Final = Table(
    "image_key",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("key", String),
    Column("post_id", Integer),
)
# Its foreign keys are swapped in the original schema, so the columns are read by their names; rows may repeat.
_LIKES: Final = Table("likes", _METADATA, Column("user_id", Integer), Column("post_id", Integer))


def _statement() -> Select[Any]:
    """Build the one statement: found posts first, then their images and likes (docs/decisions/0005).

    The images and likes are grouped before they are joined, each for the found posts alone, since the original schema
    has no index to look one post's up. They are matched with the found posts, whose ids are integers like theirs, and
    not with the array itself: PostgreSQL hashes no array of another type, and 10,000 ids would be compared with each
    of 100,000 rows.
    """
    # As int[], one id above 2^31 would fail them all.
    ids = bindparam("ids", type_=ARRAY(BigInteger))
    asked = (
        select(_POSTS.c.id, _POSTS.c.description, _POSTS.c.created_at, _POSTS.c.owner_id)
        .where(_POSTS.c.id == any_(ids))
        .cte("asked")
    )
    images = (
        select(
            _IMAGES.c.post_id,
            func.array_agg(aggregate_order_by(_IMAGES.c.key, _IMAGES.c.id)).label("keys"),
        )
        .where(_IMAGES.c.post_id.in_(select(asked.c.id)))
        .group_by(_IMAGES.c.post_id)
        .subquery("images")
    )
    liked = (
        select(_LIKES.c.post_id, func.count(distinct(_LIKES.c.user_id)).label("users"))
        .where(_LIKES.c.post_id.in_(select(asked.c.id)))
        .group_by(_LIKES.c.post_id)
        .subquery("liked")
    )
    return select(
        asked.c.id,
        asked.c.description,
        asked.c.created_at,
        _USERS.c.id,
        _USERS.c.username,
        func.coalesce(images.c["keys"], literal_column("'{}'")),
        func.coalesce(liked.c.users, literal_column("0")),
    ).select_from(
        asked.join(_USERS, _USERS.c.id == asked.c.owner_id)
        .outerjoin(images, images.c.post_id == asked.c.id)
        .outerjoin(liked, liked.c.post_id == asked.c.id)
    )


STATEMENT: Final = _statement()


class PostsTables:
    """Asks for posts in the replaced system's tables."""

    def __init__(self, image_base_url: str) -> None:
        self._image_base_url = image_base_url

    async def check(self, connection: AsyncConnection) -> None:
        """Ask for no posts."""
        await self.ask(connection, [])

    async def ask(self, connection: AsyncConnection, ids: Sequence[PostId]) -> dict[PostId, Found]:
        """Return the posts that exist; raises :class:`~streams.enrichment.BadRow` and what the driver raises."""
        rows = await connection.execute(STATEMENT, {"ids": list(ids)})
        return {PostId(row[0]): found_row(Row(*row), self._image_base_url) for row in rows}
