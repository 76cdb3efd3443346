"""The clock of all workers, set back after they have begun."""

import asyncio
import time
from typing import Final

from integration.faults.acts import contents
from integration.faults.liveness import STATEMENTS_SECONDS, charge_late_posts
from integration.faults.scene import Scene
from integration.faults.schedule import Fault

_AHEAD_SECONDS: Final = 3_600


async def set_back(scene: Scene, fault: Fault) -> str:
    """Start the workers with a clock that is an hour ahead, set it right, and announce a post that is not there yet."""
    clock = scene.installation.armed / "clock"
    # A record of the time ahead would be newer than all that follow.
    async with scene.announcer.paused():
        await scene.until_settled()
        clock.write_text(str(_AHEAD_SECONDS), "ascii")
        try:
            await _begin_anew(scene)
        finally:
            clock.unlink()
    begun = time.monotonic()
    # It is looked up again as often as ever, and not at once each time: the worker's clock has passed its window.
    late = await contents.late(scene, fault)
    live = await charge_late_posts(scene, begun, allowed=STATEMENTS_SECONDS, what="a clock that was set back")
    return f"all workers' clocks were set back by an hour; a post was {late}, and {live}"


async def _begin_anew(scene: Scene) -> None:
    with scene.installation.attending(*(worker.name for worker in scene.installation.workers)) as workers:
        await asyncio.gather(*(asyncio.to_thread(worker.terminate) for worker in workers))
        for worker in workers:
            await asyncio.to_thread(worker.start)
        for worker in workers:
            await scene.until_ready(worker.name)
