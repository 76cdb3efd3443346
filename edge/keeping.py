"""Makes what stores positions, from the edge's settings; ``python -m edge positions create``.

What speaks with PostgreSQL is imported where it is needed: with SQLAlchemy it takes 23 MiB, a quarter of an edge.
"""

import asyncio
import sys
from typing import Final

from edge.positions.keeper import Foreign, Keeper
from edge.positions.store import Away
from edge.positions_settings import PositionsSettings, StoreSettings
from runtime.database_url import Database

LAST_SECONDS: Final = 5.0
"""How long an edge that stops may take for what its clients have acknowledged, behind their drain."""


def keeper_of(settings: PositionsSettings, foreign: Foreign) -> Keeper | None:
    """Make what stores positions, if they are to be stored; ``foreign`` tells which are none of the feed's."""
    database = settings.positions
    if database is None:
        return None
    from edge.positions.postgres import PostgresStore  # noqa: PLC0415 - see above

    return Keeper(PostgresStore(database), seconds=settings.ack_seconds, foreign=foreign)


def create(settings: StoreSettings) -> int:
    """Make the table, unless it is there, and say what the edge needs; return the exit code."""
    from edge.positions.table import NAME, RIGHTS  # noqa: PLC0415 - see above

    database = settings.positions
    if database is None:
        return _failed("POSITIONS_URL is missing: it says in which database the table is to be.")
    try:
        asyncio.run(_create(database))
    except Away as error:
        return _failed(f"The table {NAME} cannot be made in the database of POSITIONS_URL: {error}")
    told = f"The table {NAME} is there. An edge that connects as another role needs:"
    print(f"{told}\nGRANT {RIGHTS} ON {NAME} TO the_edges_role;")  # noqa: T201 - for whoever has asked
    return 0


def _failed(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201 - for whoever has asked
    return 1


async def _create(database: Database) -> None:
    from edge.positions.postgres import PostgresStore  # noqa: PLC0415 - see above

    store = PostgresStore(database)
    try:
        await store.create()
    finally:
        await store.close()
