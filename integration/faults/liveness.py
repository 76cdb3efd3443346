"""How soon live posts are shown while something is wrong, and what a fault charges when that is too late."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from integration.faults.calm import calm_clock
from integration.faults.scene import Scene

STATEMENTS_SECONDS: Final = 4.0
"""Law 5 does not count a post's own statement and the one under way: ten times what these take on two cores."""
_LOOK_SECONDS: Final = 0.1


async def charge_late_posts(
    scene: Scene, since: float, *, allowed: float, what: str, counts: Callable[[int], bool] = lambda _: True
) -> str:
    """Wait for all posts announced from ``since`` until now, charge the slowest of them, and say how long it took.

    ``allowed`` are the seconds that come on top of law 5's window and 1 s; ``counts`` tells which posts are meant.
    Clients that leave by themselves do not count, nor does the time of other faults.
    """
    bound = scene.installation.window_seconds + 1 + allowed
    until = time.monotonic()
    due = {
        one.post: one.due
        for one in scene.announcer.announced
        if one.fate == "shown" and since <= one.due <= until and counts(one.post)
    }
    viewers = [viewer for viewer in scene.viewers if not viewer.view.leaves]
    calm = calm_clock(scene.others())
    while calm(now := time.monotonic()) - calm(until) < bound and not all(viewer.has_seen(due) for viewer in viewers):
        await asyncio.sleep(_LOOK_SECONDS)
        calm = calm_clock(scene.others())
    shown = [(viewer, {arrival.post: arrival.at for arrival in viewer.view.arrivals}) for viewer in viewers]
    slowest = max(
        (
            calm(arrivals.get(post, now)) - calm(at)
            for viewer, arrivals in shown
            for post, at in due.items()
            if viewer.wants(post)
        ),
        default=0.0,
    )
    if slowest > bound:
        scene.charges.append(f"live posts took up to {slowest:.1f} s beside {what}, and {bound:.0f} s are allowed")
    return f"{len(due)} live posts took {slowest:.1f} s at most"
