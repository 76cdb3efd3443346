"""Workers that kill themselves where a promise changes hands."""

import asyncio
import signal
from pathlib import Path

from integration.faults.acts import contents
from integration.faults.installation import Member
from integration.faults.scene import Scene
from integration.faults.schedule import Fault

# Four bytes a character, and so 2 kB a post: these fill several records of the feed in one window, at each of
# three workers, also where a window's end falls among them.
_LONG_POSTS = 900
_LONG = "🌿" * 500


async def crash(scene: Scene, fault: Fault) -> str:
    """Have the next worker die that reaches the point; it is started again after the fault's time."""
    installation, point = scene.installation, fault.object
    armed = installation.armed / point
    for name in fault.targets:
        # Before it is attended to: one that ends by itself now is started again.
        await scene.until_ready(name)
    with installation.attending(*fault.targets) as workers:
        armed.touch()
        provoking = asyncio.create_task(_provoke(scene, armed, workers))
        try:
            await scene.until(lambda: not armed.exists(), f"a worker reaches {point}")
        finally:
            armed.unlink(missing_ok=True)
            await provoking
        await scene.until(lambda: any(_was_killed(worker) for worker in workers), "the worker is dead")
        victims = [worker.name for worker in workers if _was_killed(worker)]
        await asyncio.sleep(fault.lasts_ms / 1000)
        for worker in workers:
            if not worker.is_alive():
                await asyncio.to_thread(worker.start)
    return f"{', '.join(victims)} died at {point}"


def _was_killed(worker: Member) -> bool:
    return worker.exit_code == -signal.SIGKILL


async def _provoke(scene: Scene, armed: Path, workers: list[Member]) -> None:
    """Do what brings a worker to the point, where the steady rate of posts does not."""
    match armed.name:
        case "feed.split":
            await scene.announcer.announce(await scene.insert(_LONG_POSTS, _LONG))
        case "retry.confirmed":
            post = await contents.announce_absent(scene)
            await scene.until(lambda: not armed.exists(), "the post is looked up in vain")
            await contents.insert(scene, post)
        case "partitions.revoked":
            # One that leaves: what the others have is taken from them, and shared anew.
            await asyncio.to_thread(workers[0].terminate)
            await asyncio.to_thread(workers[0].start)
