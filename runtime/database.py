"""Connections to a PostgreSQL database: one host after the other, each with a limit of its own.

Whatever goes wrong here is not the fault of what is asked: it is :class:`NoConnection`.
"""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlencode

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from runtime.database_tls import WrongFile, tls_context
from runtime.database_url import Database
from runtime.database_words import VERIFYING

_FINAL: Final = frozenset({"22023", "42704", "55P02"})
"""SQLSTATEs at connecting that last until the URL is changed: invalid_parameter_value, undefined_object (a
setting that the server does not know), cant_change_runtime_param."""


_IDLE_SECONDS: Final = 1.0
"""How long a connection that was idle may take to answer; a healthy one does in 0.2 ms (docs/decisions/0005)."""
_CLOSE_SECONDS: Final = 2.0


Attempt = Callable[[str | None, int | None, str], Awaitable[asyncpg.Connection]]
"""Connects to one host, port and kind of server (``target_session_attrs``); raises whatever goes wrong."""


class NoConnection(Exception):
    """No host gives a connection; ``is_final`` when none will before the URL is changed."""

    def __init__(self, sentence: str, *, is_final: bool) -> None:
        super().__init__(sentence)
        self.is_final = is_final


class Connector:
    """Opens connections to the first host that gives one.

    It begins with the host that gave the last one, so that a silent host costs its limit once and not each time.
    """

    def __init__(self, database: Database, attempt: Attempt) -> None:
        hosts = list(database.hosts)
        self._hosts = random.sample(hosts, len(hosts)) if database.is_balanced else hosts
        self._attempt = attempt
        # As libpq: a standby among all hosts, else any of them.
        self._sessions = ("standby", "any") if database.session == "prefer-standby" else (database.session,)

    async def connect(self) -> asyncpg.Connection:
        """Return a new connection; raises :class:`NoConnection` when each host was tried."""
        reasons: dict[str, bool] = {}
        for session in self._sessions:
            for number, (host, port) in enumerate(self._hosts):
                try:
                    connection = await self._attempt(host, port, session)
                except Exception as error:  # noqa: BLE001 - of many kinds, and here all mean the same: no connection
                    reasons[f"{_place(host, port)}: {reason(error)}"] = _is_final(error)
                else:
                    self._hosts = self._hosts[number:] + self._hosts[:number]
                    return connection
        raise NoConnection("; ".join(reasons), is_final=all(reasons.values()))


def _place(host: str | None, port: int | None) -> str:
    """Say which server was asked: of one host alone too, since the URL may be another than its reader thinks."""
    name = "the default host" if host is None else f"[{host}]" if ":" in host else host
    return f"{name}:{port or 'default port'}"


def attempts(database: Database, answer_seconds: float) -> Attempt:
    """Return how one host is connected to; an established connection may take ``answer_seconds`` for any answer."""
    tls = database.tls

    async def attempt(host: str | None, port: int | None, session: str) -> asyncpg.Connection:
        try:
            return await asyncpg.connect(
                # The words of TLS that asyncpg reads itself; only sslmode=require and stricter need our own context.
                f"postgresql://?{urlencode(tls)}" if tls else None,
                ssl=tls_context(database) if tls.get("sslmode") in {"require", *VERIFYING} else None,
                direct_tls=True if tls.get("sslnegotiation") == "direct" else None,
                host=host,
                port=port,
                user=database.user,
                password=database.password,
                database=database.name,
                timeout=database.connect_seconds,
                command_timeout=answer_seconds,
                target_session_attrs=session,
                server_settings=dict(database.server_settings),
                # PgBouncer gives each transaction another of its connections: nothing may be remembered of one.
                statement_cache_size=0,
                **database.driver,
            )
        except TimeoutError as error:
            raise ConnectionError(f"no connection within {database.connect_seconds:.0f} s") from error

    return attempt


def _is_final(error: Exception) -> bool:
    if isinstance(error, asyncpg.PostgresError):
        return error.sqlstate in _FINAL
    return isinstance(error, WrongFile | asyncpg.ClientConfigurationError)


def create_engine(database: Database, *, answer_seconds: float, is_read_only: bool = True) -> AsyncEngine:
    """Return a pool of one connection, whose transactions are read-only unless told; nothing is connected yet.

    JSON comes as its text. No statement is cached, and none has a name: behind PgBouncer in transaction mode a name
    stays in a connection of the server that another transaction is given, even another worker's.
    """
    connector = Connector(database, attempts(database, answer_seconds))

    def creator() -> DBAPIConnection:
        dbapi: Any = engine.dialect.loaded_dbapi
        connection: DBAPIConnection = dbapi.connect(
            async_creator_fn=connector.connect,
            prepared_statement_cache_size=0,
            prepared_statement_name_func=lambda: "",
        )
        return connection

    engine = create_async_engine(
        "postgresql+asyncpg://",
        creator=creator,
        # Statements are asked one after the other.
        pool_size=1,
        max_overflow=0,
        json_deserializer=str,
        execution_options={"postgresql_readonly": is_read_only},
    )
    event.listen(engine.sync_engine, "connect", _mark_fresh)
    event.listen(engine.sync_engine, "checkout", _ask_idle)
    event.listen(engine.sync_engine, "handle_error", _leave_silent)
    return engine


def _mark_fresh(_: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
    entry.info["is_fresh"] = True


def _ask_idle(connection: Any, entry: ConnectionPoolEntry, _: object) -> None:
    """Have a connection that was idle replaced unless it answers soon: a firewall may have forgotten it."""
    if entry.info.pop("is_fresh", False):
        return
    try:
        connection.run_async(lambda driver: driver.execute("SELECT 1", timeout=_IDLE_SECONDS))
    except Exception as error:
        # Also of kinds that nothing promises: asyncpg calls it an internal error that the server is gone.
        connection.driver_connection.terminate()
        raise DisconnectionError from error


def _leave_silent(context: ExceptionContext) -> None:
    """End a connection that did not answer in time without a word, which would be waited for."""
    if isinstance(context.original_exception, TimeoutError) and context.connection is not None:
        driver: Any = context.connection.connection.driver_connection
        driver.terminate()


@contextlib.asynccontextmanager
async def transaction(engine: AsyncEngine, *, statement_seconds: float) -> AsyncIterator[AsyncConnection]:
    """Begin a transaction in which a statement may take ``statement_seconds``; raises NoConnection.

    It is rolled back unless it is committed. The limit, and that it is read-only, are said inside the transaction. As
    settings of the session they would reach the wrong sessions behind PgBouncer in transaction mode, or none.
    """
    async with contextlib.AsyncExitStack() as begun:
        try:
            connection = await begun.enter_async_context(engine.connect())
            await connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(statement_seconds * 1000)}")
        except NoConnection:
            raise
        except Exception as error:
            raise NoConnection(first_line(error), is_final=False) from error
        yield connection


async def close(engine: AsyncEngine) -> None:
    """Close the pool."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await engine.dispose()


def reason(error: Exception) -> str:
    """Return why a host gives no connection, and where that is known what to do; no password is in it."""
    match error:
        case socket.gaierror():
            return "the host's name is not known"
        case ConnectionRefusedError():
            return "the connection is refused: nothing listens at that host and port"
        case asyncpg.InvalidCatalogNameError():
            return f"{first_line(error)}: create the database first"
    return first_line(error)


def first_line(error: BaseException | None) -> str:
    """Return an error's first line, or its type where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
