"""One statement for one batch: the posts of the replaced system's tables, read only.

Three things can happen to a statement, and the caller treats each its own way: the database cannot
be asked (:class:`Unavailable`), it took too long (:class:`TimedOut`), or it answers that these ids
cannot be read (:class:`Unreadable`).
"""

from collections.abc import Sequence
from typing import Final, Protocol

import asyncpg
from sqlalchemy import BigInteger, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from streams.contract import PostId
from streams.enrichment import BadRow, Found, Row, found_row
from streams.settings import Settings

# The images and likes are grouped before they are joined, each for the found posts alone, since the
# original schema has no index to look one post's up. They are matched with `asked`, whose ids are
# integers like theirs, and not with the array itself: PostgreSQL hashes no array of another type, and
# 10,000 ids would be compared with each of 100,000 rows (docs/decisions/0005). `likes` is read by its
# column names, since its foreign keys are swapped, and may hold duplicates.
_POSTS: Final = text("""
    WITH asked AS (SELECT id, description, created_at, owner_id FROM posts WHERE id = ANY(:ids))
    SELECT asked.id, asked.description, asked.created_at, u.id, u.username,
           coalesce(images.keys, '{}'), coalesce(liked.users, 0)
    FROM asked
    JOIN users u ON u.id = asked.owner_id
    LEFT JOIN (SELECT post_id, array_agg(key ORDER BY id) AS keys
               FROM image_key WHERE post_id IN (SELECT id FROM asked) GROUP BY post_id) images
           ON images.post_id = asked.id
    LEFT JOIN (SELECT post_id, count(DISTINCT user_id) AS users
               FROM likes WHERE post_id IN (SELECT id FROM asked) GROUP BY post_id) liked
           ON liked.post_id = asked.id
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))  # as int[], one id above 2^31 fails them all

# SQLSTATE classes that speak of the data asked for: data exception, limit exceeded, internal error
# (a damaged row). Every other class speaks of the database or of our rights in it: it is not these
# ids' fault, and setting them aside would empty the stream into posts.dead.
_UNREADABLE: Final = ("22", "54", "XX")
# query_canceled (by statement_timeout), lock_not_available
_TIMED_OUT: Final = ("57014", "55P03")

# A connection attempt that takes longer than this is as good as refused.
_CONNECT_SECONDS: Final = 5.0


class Unusable(Exception):
    """The configuration cannot work, whatever the database does; a sentence for who configured it."""


class Unavailable(Exception):
    """The database cannot be asked now."""


class TimedOut(Exception):
    """The statement took longer than it may."""


class Unreadable(Exception):
    """The database answers, but these rows cannot be read."""


class LooksUp(Protocol):
    """Where posts are looked up."""

    async def check(self) -> None:
        """Ask the lookup's statement with no ids; raises Unavailable, TimedOut or Unusable."""
        ...

    async def posts(self, ids: Sequence[PostId]) -> dict[PostId, Found]:
        """Return the posts that exist; raises Unavailable, TimedOut or Unreadable."""
        ...


class Lookup:
    """The connection pool, and the one question that is asked through it."""

    def __init__(self, settings: Settings) -> None:
        dsn, limit = settings.database_dsn, settings.statement_timeout_seconds
        self._image_base_url = settings.image_base_url

        async def connect() -> asyncpg.Connection:
            # asyncpg reads the whole URL itself, sslmode and all; SQLAlchemy's own URL does not know libpq's words.
            try:
                return await asyncpg.connect(
                    dsn,
                    timeout=_CONNECT_SECONDS,
                    # The server gives up first and says so; the client's own limit is for a server that is gone.
                    command_timeout=limit + 2,
                    server_settings={
                        "statement_timeout": str(round(limit * 1000)),
                        "default_transaction_read_only": "on",
                    },
                )
            except TimeoutError as error:
                raise ConnectionError(f"no connection within {_CONNECT_SECONDS:.0f} s") from error

        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            # Batches are completed one after the other.
            pool_size=1,
            max_overflow=0,
            # 0.13 ms a statement, and a restart of the database goes unnoticed by idle connections.
            pool_pre_ping=True,
        )

    async def check(self) -> None:
        """Ask the statement with no ids; raises Unavailable, TimedOut or Unusable."""
        await self.posts([])

    async def posts(self, ids: Sequence[PostId]) -> dict[PostId, Found]:
        """Return the posts that exist; raises Unavailable, TimedOut or Unreadable."""
        try:
            async with self._engine.connect() as connection:
                rows = await connection.execute(_POSTS, {"ids": list(ids)})
                return {row[0]: found_row(Row(*row), self._image_base_url) for row in rows}
        except DBAPIError as error:
            state = str(getattr(error.orig, "sqlstate", None) or "")
            if state in _TIMED_OUT:
                raise TimedOut(_first_line(error.orig)) from error
            if state.startswith(_UNREADABLE):
                raise Unreadable(_first_line(error.orig)) from error
            raise Unavailable(_first_line(error.orig)) from error
        except TimeoutError as error:
            raise TimedOut("the database did not answer in time") from error
        except OSError as error:
            raise Unavailable(_first_line(error)) from error
        except BadRow as error:
            raise Unreadable(str(error)) from error
        except (ValueError, ArithmeticError) as error:
            # What asyncpg's decoders raise, unwrapped, for a value that Python cannot hold.
            raise Unreadable(_first_line(error)) from error

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()


def _first_line(error: BaseException | None) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
