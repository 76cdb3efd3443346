"""The queue, deleted under its consumers."""

import asyncio
from typing import Any, Final

from integration.faults.scene import Scene, Unprovable
from integration.faults.schedule import Fault

_REMEMBERED_SECONDS: Final = 5.0
"""For RabbitMQ to write down that the queue exists: a kill 10 ms later was seen to undo it, in one of five tries."""


async def delete(scene: Scene, _: Fault) -> str:
    """Delete the queue, and declare it again as it was."""
    return await _anew(scene, None)


async def redeclare(scene: Scene, _: Fault) -> str:
    """Delete the queue, and declare it again with an argument that it did not have."""
    return await _anew(scene, {"x-max-length": 1_000_000})


async def _anew(scene: Scene, arguments: dict[str, Any] | None) -> str:
    # What is in a queue is deleted with it: that is RabbitMQ's loss and not ours, so it must be empty.
    async with scene.announcer.paused():
        await scene.until_settled()
        before, after = await scene.announcer.declare(delete=True, more=arguments)
    # Killed within moments of a declaration RabbitMQ may forget it, and with it what it has confirmed for that queue.
    await asyncio.sleep(_REMEMBERED_SECONDS)
    if not before or after:
        raise Unprovable(f"the queue had {before} consumers, and has {after}")
    return f"the queue was deleted under {before} consumers"
