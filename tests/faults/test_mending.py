"""When a system is well again."""

from types import SimpleNamespace
from typing import Any, cast

from integration.faults.mending import troubles
from integration.faults.scene import Scene


def scene_of(*, consumers: int, unready: list[str], absent: list[str]) -> Scene:
    """Make a system of three workers of which these are in trouble."""

    async def asked() -> int:
        return consumers

    installation = SimpleNamespace(workers=[object()] * 3, troubles=lambda: unready)
    scene = SimpleNamespace(installation=installation, absent=absent, announcer=SimpleNamespace(consumers=asked))
    return cast(Scene, cast(Any, scene))


async def test_it_is_well_when_all_are_ready_and_there_and_each_worker_takes_announcements() -> None:
    assert await troubles(scene_of(consumers=3, unready=[], absent=[])) == []
    # RabbitMQ may hold a connection for alive that has been reset.
    assert await troubles(scene_of(consumers=4, unready=[], absent=[])) == []


async def test_a_worker_that_takes_no_announcements_is_a_trouble_whether_it_says_so_or_not() -> None:
    said = ["the queue has 2 consumers, and there are 3 workers"]
    assert await troubles(scene_of(consumers=2, unready=[], absent=[])) == said
    told = await troubles(scene_of(consumers=2, unready=["worker-0 is not ready: 503"], absent=["plain-0"]))
    assert told == ["worker-0 is not ready: 503", "plain-0 cannot connect", *said]
