"""The queue, deleted under its consumers."""

from typing import Any

from integration.faults.scene import Scene, Unprovable
from integration.faults.schedule import Fault


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
        before, after = await scene.announcer.declare(delete=True, arguments=arguments)
    if not before or after:
        raise Unprovable(f"the queue had {before} consumers, and has {after}")
    return f"the queue was deleted under {before} consumers"
