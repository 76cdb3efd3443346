"""Positions in PostgreSQL: one table, two connections.

Whatever goes wrong is :class:`~edge.positions.store.Away`: the feed does not wait for this database.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from edge.positions import table
from edge.positions.device import Key
from edge.positions.store import Away, Row
from runtime.database import close, create_engine, first_line, transaction
from runtime.database_url import Database

_STATEMENT_SECONDS: Final = 5.0
"""How long a statement may take; a thousand rows take some 10 ms (docs/decisions/0029)."""
_ANSWER_SECONDS: Final = 2.0
"""How much longer we wait: the server says what has happened, and only one that is gone does not."""
_NO_TABLE: Final = "42P01"
_NO_RIGHTS: Final = "42501"


class PostgresStore:
    """Positions in a database; nothing is connected before it is asked. See :class:`edge.positions.store.Store`."""

    def __init__(self, database: Database) -> None:
        # Who connects does not wait for what is written.
        self._writing, self._reading = (
            create_engine(database, answer_seconds=_STATEMENT_SECONDS + _ANSWER_SECONDS, is_read_only=is_read_only)
            for is_read_only in (False, True)
        )

    async def write(self, rows: Sequence[Row]) -> Mapping[Key, str]:
        """Store positions, one for each key; return what is stored where that is further on. Raises :class:`Away`."""
        positions = {row.key: row.position for row in rows}
        further: dict[Key, str] = {}
        if swaps := [row for row in rows if row.replaces]:
            async with _asking(self._writing) as connection:
                await connection.execute(table.SWAP, {**_arrays(swaps), "replaced": [row.replaces for row in swaps]})
                await connection.commit()
        async with _asking(self._writing) as connection:
            new: set[str] = set()
            for subject, device, there, is_new in await connection.execute(table.WRITE, _arrays(rows)):
                if is_new:
                    new.add(subject)
                elif there is not None and there > positions[Key(subject, device)]:
                    # Where it is not, another edge has stored one meanwhile: ours, or one that is further on.
                    further[Key(subject, device)] = there
            if new:
                await connection.execute(table.TRIM, {"subjects": sorted(new)})
            await connection.commit()
        return further

    async def read(self, keys: Sequence[Key]) -> Mapping[Key, str]:
        """Return what is stored for keys, where anything is; raises :class:`Away`."""
        async with _asking(self._reading) as connection:
            found = await connection.execute(table.READ, _names(keys))
            return {Key(subject, device): position for subject, device, position in found}

    async def create(self) -> None:
        """Make the table, unless it is there; raises :class:`Away`."""
        async with _asking(self._writing) as connection:
            await connection.execute(table.CREATE)
            await connection.commit()

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(close(self._writing), close(self._reading))


def _names(keys: Sequence[Key]) -> dict[str, list[str]]:
    return {"subjects": [key.subject for key in keys], "devices": [key.device for key in keys]}


def _arrays(rows: Sequence[Row]) -> dict[str, list[str]]:
    return {**_names([row.key for row in rows]), "positions": [row.position for row in rows]}


@asynccontextmanager
async def _asking(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Begin a transaction; make an :class:`Away` of whatever goes wrong."""
    try:
        async with transaction(engine, statement_seconds=_STATEMENT_SECONDS) as connection:
            yield connection
    except Exception as error:
        # Also of kinds that nothing promises: asyncpg calls it an internal error that the server is gone.
        raise Away(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    match getattr(cause, "sqlstate", None):
        case state if state == _NO_TABLE:
            return f"there is no table {table.NAME}: make it with python -m edge positions create"
        case state if state == _NO_RIGHTS:
            return f"{first_line(cause)}: the role needs {table.RIGHTS} on {table.NAME}"
    if isinstance(error, TimeoutError):
        return "the database did not answer in time"
    return first_line(cause)
