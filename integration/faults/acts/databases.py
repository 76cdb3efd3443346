"""A table that is locked for a moment, or for longer than a statement may take."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from integration.faults.scene import PATIENCE_SECONDS, Scene
from integration.faults.schedule import Fault

_WAITING: Final = (
    "SELECT pid::text || query_start::text FROM pg_stat_activity "
    "WHERE wait_event_type = 'Lock' AND query LIKE '%likes%' AND pid <> pg_backend_pid()"
)
_LOOK_SECONDS: Final = 0.1


async def lock(scene: Scene, fault: Fault) -> str:
    """Lock the table until a lookup has waited for it, and for the fault's time from there."""
    async with _locked(scene) as waiting:
        await _until(waiting, lambda seen, _: bool(seen))
        await asyncio.sleep(fault.lasts_ms / 1000)
    return "a lookup waited for the table"


async def time_out(scene: Scene, _: Fault) -> str:
    """Lock the table until a lookup has timed out."""
    async with _locked(scene) as waiting:
        # The lock is still held: what does not wait for it any more was given up.
        await _until(waiting, lambda seen, now: bool(seen - now))
    return "a lookup was given up"


@asynccontextmanager
async def _locked(scene: Scene) -> AsyncIterator[Callable[[], Awaitable[set[str]]]]:
    """Hold the lock, and offer to say which statements wait for it."""
    async with scene.database() as holding, scene.database() as watching:
        await holding.execute("BEGIN; LOCK TABLE likes IN ACCESS EXCLUSIVE MODE")

        async def waiting() -> set[str]:
            return {row[0] for row in await watching.fetch(_WAITING)}

        yield waiting
        await holding.execute("COMMIT")


async def _until(waiting: Callable[[], Awaitable[set[str]]], condition: Callable[[set[str], set[str]], bool]) -> None:
    """Return when the condition holds for what has waited so far, and for what waits now."""
    seen: set[str] = set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition(seen, now := await waiting()):
            seen |= now
            await asyncio.sleep(_LOOK_SECONDS)
