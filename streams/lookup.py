"""One statement for one batch of posts, read only.

A lookup ends in one of four ways, and the caller treats each its own way: it returns the posts, the database cannot be
asked (:class:`Unavailable`), the statement takes too long (:class:`TimedOut`), or the database answers that it cannot
do this for these ids (:class:`Unreadable`). Law: only an error that comes from executing the statement may be
Unreadable; whatever goes wrong before is Unavailable.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from asyncpg import InternalClientError, PostgresError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import NoConnection, close, create_engine, first_line, transaction
from streams.contract import PostId
from streams.enrichment import BadRow, Found
from streams.lookup_sql import WrongStatement, check_shape, found_rows
from streams.lookup_tables import PostsTables
from streams.settings import Settings

DATABASE: Final = "the database (PostgreSQL)"
"""What the log and ``/readyz`` call it."""

# What PostgreSQL may answer because of the ids that are asked for, by SQLSTATE (PostgreSQL's manual, appendix A): a
# value or a damaged row (22, XX, 58), too many rows of a subquery (21), a limit that a smaller statement may keep to
# (53, 54), what a function or a view raises (P0, 20, 38, 39). A worker finds out which it is by halving, and by asking
# an id that was read before. Every other class speaks of the database or of our rights in it.
_PERHAPS_THE_IDS: Final = ("20", "21", "22", "38", "39", "53", "54", "58", "P0", "XX")
# Too many connections: said at connecting, and by poolers at any time.
_NOT_THE_IDS: Final = frozenset({"53300"})
# query_canceled (by statement_timeout), lock_not_available, transaction_timeout
_TIMED_OUT: Final = frozenset({"57014", "55P03", "25P04"})
# What is wrong with a statement: its syntax, what it names (42, which has insufficient_privilege too; 3F), that it
# writes (25006, read_only_sql_transaction).
_WRONG_STATEMENT: Final = ("42", "3F", "25006")
_NO_RIGHTS: Final = "42501"

_ANSWER_SECONDS: Final = 2.0
"""How much longer we wait than the server may take: it says what happened, and only a server that is gone does not."""


class Unusable(Exception):
    """The configuration cannot work, whatever the database does; a sentence for who configured it."""


class Unavailable(Exception):
    """The database cannot be asked now."""


class TimedOut(Exception):
    """The statement took longer than it may."""


class Unreadable(Exception):
    """The database answers that it cannot do this; the ids that are asked for may be the reason."""


class LooksUp(Protocol):
    """Where posts are looked up."""

    async def check(self) -> None:
        """Ask the lookup's statement with no ids; raises Unavailable, TimedOut or Unusable."""
        ...

    async def posts(self, ids: Sequence[PostId]) -> dict[PostId, Found]:
        """Return the posts that exist; raises Unavailable, TimedOut or Unreadable."""
        ...


class _Asks(Protocol):
    """The statement: that of the replaced system's tables, or the operator's own."""

    async def check(self, connection: AsyncConnection) -> None: ...
    async def ask(self, connection: AsyncConnection, ids: Sequence[PostId]) -> dict[PostId, Found]: ...


class _OwnStatement:
    """Asks for posts with the operator's statement."""

    def __init__(self, statement: str) -> None:
        """``statement``: as :func:`streams.lookup_sql.translate` returns it."""
        self._statement = statement

    async def check(self, connection: AsyncConnection) -> None:
        """Prepare the statement, look at its parameters and columns, and ask for no posts."""
        raw = await connection.get_raw_connection()
        prepare: Callable[..., Any] = raw.driver_connection.prepare  # type: ignore[union-attr]  # asyncpg's own
        prepared = await prepare(self._statement, name="")
        columns = [(attribute.name, attribute.type.name) for attribute in prepared.get_attributes()]
        check_shape(len(prepared.get_parameters()), columns)
        await self.ask(connection, [])

    async def ask(self, connection: AsyncConnection, ids: Sequence[PostId]) -> dict[PostId, Found]:
        """Return the posts that exist; raises :class:`~streams.enrichment.BadRow` and what the driver raises."""
        result = await connection.exec_driver_sql(self._statement, (list(ids),))
        places = {name: place for place, name in enumerate(result.keys())}
        post, payload, author = places["id"], places["payload"], places.get("author")
        return found_rows((row[post], row[payload], None if author is None else row[author]) for row in result)


class Lookup:
    """The database, and the one statement that is asked of it."""

    def __init__(self, settings: Settings) -> None:
        self._seconds = settings.statement_timeout_seconds
        self._engine = create_engine(settings.database, answer_seconds=self._seconds + _ANSWER_SECONDS)
        self._statement: _Asks = (
            _OwnStatement(settings.lookup_sql) if settings.lookup_sql else PostsTables(settings.image_base_url)
        )
        self._is_own = bool(settings.lookup_sql)

    async def check(self) -> None:
        """Ask the statement with no ids; raises Unavailable, TimedOut or Unusable."""
        try:
            async with transaction(self._engine, statement_seconds=self._seconds) as connection:
                await self._statement.check(connection)
        except NoConnection as error:
            if error.is_final:
                raise Unusable(f"DATABASE_URL cannot work: {error}") from error
            raise Unavailable(str(error)) from error
        except WrongStatement as error:
            raise Unusable(f"LOOKUP_SQL is wrong: {error}") from error
        except Exception as error:
            state = _sqlstate(error)
            if self._is_own and state.startswith(_WRONG_STATEMENT) and state != _NO_RIGHTS:
                raise Unusable(f"LOOKUP_SQL is wrong: {_said(error)}") from error
            failed = failure(error)
            if failed is None:
                raise
            # No ids were asked for, so that none can be the reason.
            raise Unavailable(str(failed)) if isinstance(failed, Unreadable) else failed from error

    async def posts(self, ids: Sequence[PostId]) -> dict[PostId, Found]:
        """Return the posts that exist; raises Unavailable, TimedOut or Unreadable."""
        try:
            async with transaction(self._engine, statement_seconds=self._seconds) as connection:
                return await self._statement.ask(connection, ids)
        except NoConnection as error:
            raise Unavailable(str(error)) from error
        except Exception as error:
            failed = failure(error)
            if failed is None:
                raise
            raise failed from error

    async def close(self) -> None:
        """Close the connection."""
        await close(self._engine)


def failure(error: Exception) -> Unavailable | TimedOut | Unreadable | None:
    """Return what an error of executing a statement means, or None for an error that no statement should raise."""
    match error:
        case DBAPIError() | PostgresError():
            return _meaning(_sqlstate(error))(_said(error))
        case TimeoutError():
            return TimedOut("the database did not answer in time")
        case OSError() | SQLAlchemyError() | InternalClientError():
            return Unavailable(_said(error))
        case BadRow() | ValueError() | ArithmeticError():
            # The driver's decoders raise the latter two, unwrapped, for a value that Python cannot hold.
            return Unreadable(_said(error))
        case _:
            return None


def _meaning(state: str) -> type[Unavailable | TimedOut | Unreadable]:
    if state in _TIMED_OUT:
        return TimedOut
    return Unreadable if state.startswith(_PERHAPS_THE_IDS) and state not in _NOT_THE_IDS else Unavailable


def _sqlstate(error: Exception) -> str:
    return str(getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None) or "")


def _said(error: Exception) -> str:
    return first_line(error.orig if isinstance(error, DBAPIError) else error)
