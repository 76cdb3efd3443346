"""What a fault finds when it comes."""

import itertools
from types import SimpleNamespace
from typing import Any, cast

import pytest

from integration.faults.scene import PATIENCE_SECONDS, Scene, Unprovable
from tests.streams.virtual import virtual


class Guest:
    """A client that is there at some looks, again and again."""

    def __init__(self, name: str, looks: str) -> None:
        self.view = SimpleNamespace(client=name)
        self._looks = itertools.cycle(looks)

    @property
    def is_there(self) -> bool:
        return next(self._looks) == "x"


def scene_of(*guests: Guest) -> Scene:
    nothing = cast(Any, None)
    return Scene(nothing, {}, nothing, nothing, cast(Any, guests))


@virtual
async def test_clients_that_leave_now_and_then_need_not_be_there_together() -> None:
    await scene_of(Guest("a", ".x"), Guest("b", "x.")).until_all_came()


@virtual
async def test_who_never_came_is_named() -> None:
    with pytest.raises(Unprovable, match=f"not within {PATIENCE_SECONDS:.0f} s: every client was there, but not b, c$"):
        await scene_of(Guest("a", "x."), Guest("b", "."), Guest("c", ".")).until_all_came()
