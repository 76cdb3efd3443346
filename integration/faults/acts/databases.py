"""A table that is locked for a moment, or for longer than a statement may take."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from integration.faults.liveness import STATEMENTS_SECONDS, charge_late_posts
from integration.faults.scene import PATIENCE_SECONDS, Scene
from integration.faults.schedule import Fault

_WAITING: Final = (
    "SELECT pid::text || query_start::text FROM pg_stat_activity "
    "WHERE wait_event_type = 'Lock' AND query LIKE '%likes%' AND pid <> pg_backend_pid()"
)
_LOOK_SECONDS: Final = 0.1
_OUTLAST_SECONDS: Final = 45.0
"""Four statements of ten seconds, the default; a worker ended itself after 27 s once."""
_SAID_SECONDS: Final = 10.0
"""Law 9, and that a service is named: within so long."""
_SHOWN_SECONDS: Final = 15.0
"""After the unlock: all that has waited."""
_FORGOTTEN_SECONDS: Final = 2.0
"""What an idle connection that was forgotten may cost."""


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


async def outlast(scene: Scene, _: Fault) -> str:
    """Lock the table for as long as many statements may take; no worker may end for that, and each must say so."""
    async with scene.announcer.paused():
        await scene.until_settled()
    for worker in scene.installation.workers:
        # One that has no partitions yet looks nothing up.
        await scene.until_ready(worker.name)
    begun = time.monotonic()
    async with _locked(scene) as waiting:
        await _until(waiting, lambda seen, _: bool(seen))
        # A window may have ended without a post in it: from the first statement that waits on.
        await asyncio.sleep(scene.installation.window_seconds + _SAID_SECONDS)
        answers = {
            worker.name: await asyncio.to_thread(worker.ask, "/readyz")
            for worker in scene.installation.workers
            if worker.is_alive()
        }
        await asyncio.sleep(max(0.0, begun + _OUTLAST_SECONDS - time.monotonic()))
    unlocked = time.monotonic()
    scene.charges += charge_silent(answers)
    await charge_late_posts(scene, begun, allowed=_OUTLAST_SECONDS + _SHOWN_SECONDS, what="a locked table")
    return f"a table was locked for {unlocked - begun:.0f} s"


def charge_silent(answers: Mapping[str, tuple[int, str]]) -> list[str]:
    """Charge the workers whose /readyz does not name the database."""
    return [
        f"{worker}'s /readyz does not name the database while a table is locked: {status} {' '.join(text.split())}"
        for worker, (status, text) in answers.items()
        if status != HTTPStatus.SERVICE_UNAVAILABLE or "database" not in text
    ]


async def forget(scene: Scene, _: Fault) -> str:
    """Have the database's side of idle connections gone without a word, as a firewall does that forgets them."""
    proxy = scene.proxies["postgres"]
    async with scene.announcer.paused():
        await scene.until_settled()
    await scene.until(lambda: bool(proxy.links), "there is a connection")
    begun, swallowed = time.monotonic(), proxy.swallowed
    links = proxy.orphan()
    try:
        await scene.until(lambda: proxy.swallowed > swallowed, "something is said to the database")
        await asyncio.sleep(2 * scene.installation.window_seconds)
        allowed = STATEMENTS_SECONDS + _FORGOTTEN_SECONDS
        live = await charge_late_posts(scene, begun, allowed=allowed, what="forgotten connections")
    finally:
        proxy.heal()
    return f"{links} connections forgotten; {live}"


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
