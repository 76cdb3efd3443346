"""Workers that kill themselves where a promise changes hands."""

import asyncio
import signal

from integration.faults.acts import contents
from integration.faults.installation import Member
from integration.faults.scene import Scene, Unprovable
from integration.faults.schedule import Fault

# Four bytes a character, and so 2 kB a post: these fill several records of the feed in one window, at each of
# three workers, also where a window's end falls among them.
_LONG_POSTS = 900
_LONG = "🌿" * 500


async def crash(scene: Scene, fault: Fault) -> str:
    """Have the next worker die that reaches the point; it is started again after the fault's time."""
    installation, point = scene.installation, fault.object
    armed = installation.armed / point
    with installation.attending(*fault.targets) as workers:
        for worker in workers:
            await asyncio.to_thread(worker.until_ready)
        armed.touch()
        try:
            async with asyncio.TaskGroup() as provoking:
                provoking.create_task(_provoke(scene, point, workers))
                await scene.until(lambda: not armed.exists(), f"a worker reaches {point}")
        finally:
            armed.unlink(missing_ok=True)
        [dead] = await _dead(scene, workers)
        code = dead.exit_code
        await asyncio.sleep(fault.lasts_ms / 1000)
        await asyncio.to_thread(dead.start)
    if code != -signal.SIGKILL:
        raise Unprovable(f"{dead.name} ended with {code}")
    return f"{dead.name} died at {point}"


async def _dead(scene: Scene, workers: list[Member]) -> list[Member]:
    await scene.until(lambda: any(not worker.is_alive() for worker in workers), "the worker is dead")
    return [worker for worker in workers if not worker.is_alive()]


async def _provoke(scene: Scene, point: str, workers: list[Member]) -> None:
    """Do what brings a worker to the point, where the steady rate of posts does not."""
    match point:
        case "feed.split":
            await scene.announcer.announce(await scene.insert(_LONG_POSTS, _LONG))
        case "retry.confirmed":
            await contents.announce_too_early(scene)
        case "partitions.revoked":
            # One that leaves: what the others have is taken from them, and shared anew.
            await asyncio.to_thread(workers[0].terminate)
            await asyncio.to_thread(workers[0].start)
