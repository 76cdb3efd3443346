"""Partitions that are added to posts.created while posts flow."""

import time
from typing import Final

from integration.faults import logs
from integration.faults.scene import Scene, Unprovable
from integration.faults.schedule import Fault

_ADDED: Final = 4
_NOTICED_SECONDS: Final = 45.0
"""How long a post on a new partition may take: the worker looks for new ones every 30 s, and shares them anew then."""


async def add(scene: Scene, _: Fault) -> str:
    """Add partitions, and put a post on each."""
    url, created = scene.stage.kafka.url, scene.installation.system.created
    posts = await scene.insert(_ADDED)
    count = await logs.add_partitions(url, created, _ADDED)
    begun, now_ms = time.monotonic(), round(time.time() * 1000)
    for partition, post in enumerate(posts, start=count - _ADDED):
        await logs.place(url, created, partition, [(b'{"id":%d}' % post, now_ms)])
        # Not before it is confirmed: what is refused was not announced.
        scene.announcer.note([post])
    grown = f"posts.created grew to {count} partitions"
    try:
        await scene.until(lambda: scene.is_shown(posts), "posts on the new ones are shown", _NOTICED_SECONDS)
    except Unprovable as late:
        scene.charges.append(f"{grown}, and {late}")
        return grown
    return f"{grown}, and what was on the new ones was shown after {time.monotonic() - begun:.1f} s"
