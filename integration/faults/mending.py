"""What is not well again when all faults are over."""

import asyncio

from integration.faults.scene import Scene


async def troubles(scene: Scene) -> list[str]:
    """Say which processes are not ready, which clients are not there, and how many workers take no announcements.

    A worker whose bridge is dead may be ready for all that it knows, and the others take its share: no client misses
    anything. So RabbitMQ is asked, too.
    """
    consumers, workers = await scene.announcer.consumers(), len(scene.installation.workers)
    return [
        *await asyncio.to_thread(scene.installation.troubles),
        *(f"{client} cannot connect" for client in scene.absent),
        *([f"the queue has {consumers} consumers, and there are {workers} workers"] if consumers < workers else []),
    ]
