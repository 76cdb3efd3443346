"""Workers that kill themselves where a promise changes hands."""

import asyncio
import signal
import time
from contextlib import suppress
from pathlib import Path

from integration.faults.acts import contents
from integration.faults.endings import charge_deaths
from integration.faults.installation import WINDOW_SECONDS, Member
from integration.faults.scene import PATIENCE_SECONDS, Scene, Unprovable
from integration.faults.schedule import Fault

# One byte of the column's 500 in any of PostgreSQL's encodings, and six in JSON: so 3 kB a post. These fill several
# records of the feed in one window, at each of three workers, also where a window's end falls among them.
_LONG_POSTS = 900
_LONG = "\x01" * 500
_PROVOKED_SECONDS = 4.0 * WINDOW_SECONDS
"""How long what was provoked may take to come about: to RabbitMQ, to Kafka, and to the end of a window."""


async def crash(scene: Scene, fault: Fault) -> str:
    """Have the next worker die that reaches the point; it is started again after the fault's time."""
    installation, point = scene.installation, fault.object
    armed = installation.armed / point
    for name in fault.targets:
        # Before it is attended to: one that ends by itself now is started again.
        await scene.until_ready(name)
    with installation.attending(*fault.targets) as workers:
        armed.touch()
        deadline = time.monotonic() + PATIENCE_SECONDS
        try:
            while armed.exists():
                # Between the provocations: one that is broken off may leave a worker ended that nobody starts again.
                if time.monotonic() > deadline:
                    raise Unprovable(f"no worker reaches {point}")
                await _provoke(scene, armed, workers)
                # A window may have cut in two what was to fill one: once more, then.
                await _await_gone(scene, armed)
            await scene.until(lambda: any(_was_killed(worker) for worker in workers), "the worker is dead")
            victims = [worker.name for worker in workers if _was_killed(worker)]
            await asyncio.sleep(fault.lasts_ms / 1000)
        finally:
            armed.unlink(missing_ok=True)
            # Before the supervisor looks again, who would take the victim for one that ended by itself.
            scene.charges += charge_deaths({worker.name: worker.exit_code for worker in workers})
            for worker in workers:
                if not worker.is_alive():
                    await asyncio.to_thread(worker.start)
    return f"{', '.join(victims)} died at {point}"


async def _await_gone(scene: Scene, armed: Path) -> None:
    with suppress(Unprovable):
        await scene.until(lambda: not armed.exists(), "the point is reached", _PROVOKED_SECONDS)


def _was_killed(worker: Member) -> bool:
    return worker.exit_code == -signal.SIGKILL


async def _provoke(scene: Scene, armed: Path, workers: list[Member]) -> None:
    """Do what brings a worker to the point, where the steady rate of posts does not."""
    match armed.name:
        case "feed.split":
            await scene.announcer.announce(await scene.insert(_LONG_POSTS, _LONG))
        case "retry.confirmed":
            post = await contents.announce_absent(scene)
            await _await_gone(scene, armed)
            await contents.insert(scene, post)
        case "partitions.revoked":
            # One that leaves: what the others have is taken from them, and shared anew.
            await asyncio.to_thread(workers[0].terminate)
            await asyncio.to_thread(workers[0].start)
