"""How soon live posts are shown while something is wrong."""

import asyncio
import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from integration.faults.liveness import charge_late_posts
from integration.faults.observations import Announced, Arrival
from integration.faults.scene import Scene

_LATE_SECONDS = 3.0
_BOUND_SECONDS = 1.5


class Viewer:
    """A client that is shown post 1 late."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.view = SimpleNamespace(leaves=False, arrivals=[Arrival(1, at)])

    def has_seen(self, posts: Iterable[int]) -> bool:
        return not posts or time.monotonic() >= self.at

    def wants(self, post: int) -> bool:
        return post == 1


@pytest.mark.parametrize("is_disturbed", [True, False])
async def test_a_post_that_is_late_is_charged_unless_another_fault_held_it_up(is_disturbed: bool) -> None:
    begun = time.monotonic()
    announcer = SimpleNamespace(announced=[Announced(1, begun)])
    installation = SimpleNamespace(window_seconds=0)
    viewers = [Viewer(begun + _LATE_SECONDS)]
    scene = Scene(*cast(Any, (None, {}, installation, announcer, viewers)))

    async def another() -> None:
        async with scene.holding(["worker-1"]):
            await asyncio.sleep(_LATE_SECONDS if is_disturbed else 0)

    async def charge() -> None:
        async with scene.holding(["worker-2"]):
            await asyncio.sleep(0.05)
            await charge_late_posts(scene, begun, allowed=_BOUND_SECONDS - 1, what="this")

    await asyncio.gather(another(), charge())
    assert bool(scene.charges) is not is_disturbed
