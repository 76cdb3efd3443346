"""Partitions that are added to posts.created while posts flow."""

import time
from typing import Final

from integration.faults import logs
from integration.faults.scene import Scene
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
    scene.announcer.note(posts)
    for partition, post in enumerate(posts, start=count - _ADDED):
        await logs.place(url, created, partition, [(b'{"id":%d}' % post, now_ms)])
    await scene.until(lambda: scene.is_shown(posts), "posts on the new partitions are shown", 2 * _NOTICED_SECONDS)
    if (took := time.monotonic() - begun) > _NOTICED_SECONDS:
        scene.charges.append(f"posts on added partitions took {took:.0f} s, and {_NOTICED_SECONDS:.0f} s are allowed")
    return f"posts.created grew to {count} partitions, and what was on the new ones was shown after {took:.1f} s"
