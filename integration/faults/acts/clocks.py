"""The clock of all workers, set back after they have begun."""

import time
from typing import Final

from integration.faults.acts import contents
from integration.faults.liveness import STATEMENTS_SECONDS, charge_late_posts
from integration.faults.scene import Scene
from integration.faults.schedule import Fault

_BACK_SECONDS: Final = 3_600


async def set_back(scene: Scene, fault: Fault) -> str:
    """Set the workers' clock back by an hour, announce a post that is not there yet, and set the clock right again."""
    clock = scene.installation.armed / "clock"
    async with scene.announcer.paused():
        await scene.until_settled()
    begun = time.monotonic()
    clock.write_text(str(-_BACK_SECONDS), "ascii")
    try:
        # It is looked up again as often as ever, and not at once each time: its record is an hour old now.
        late = await contents.late(scene, fault)
        live = await charge_late_posts(scene, begun, allowed=STATEMENTS_SECONDS, what="a clock that was set back")
    finally:
        clock.unlink()
    return f"all workers' clocks were an hour back; a post was {late}, and {live}"
