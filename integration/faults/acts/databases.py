"""A table that is locked for a moment, or for longer than a statement may take."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from integration.faults.scene import PATIENCE_SECONDS, Scene
from integration.faults.schedule import Fault

_WAITING: Final = (
    "SELECT pid::text || query_start::text FROM pg_stat_activity "
    "WHERE wait_event_type = 'Lock' AND query LIKE '%likes%' AND pid <> pg_backend_pid()"
)
_LOOK_SECONDS: Final = 0.1


async def lock(scene: Scene, fault: Fault) -> str:
    """Lock the table until a lookup has waited for it, and for the fault's time from there."""
    async with _locked(scene) as watching:
        await _waiting(watching, 1)
        await asyncio.sleep(fault.lasts_ms / 1000)
    return "a lookup waited for the table"


async def time_out(scene: Scene, fault: Fault) -> str:
    """Lock the table until lookups have timed out."""
    async with _locked(scene) as watching:
        # A second statement of one that waits shows that its first one was given up.
        statements = await _waiting(watching, 1 + len(fault.targets))
    return f"{statements} lookups waited, one after the other"


@asynccontextmanager
async def _locked(scene: Scene) -> AsyncIterator[asyncpg.Connection]:
    async with scene.database() as holding, scene.database() as watching:
        await holding.execute("BEGIN; LOCK TABLE likes IN ACCESS EXCLUSIVE MODE")
        yield watching
        await holding.execute("COMMIT")


async def _waiting(watching: asyncpg.Connection, count: int) -> int:
    """Wait until so many statements of the product have waited for the lock."""
    seen: set[str] = set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(seen) < count:
            seen.update(row[0] for row in await watching.fetch(_WAITING))
            await asyncio.sleep(_LOOK_SECONDS)
    return len(seen)
