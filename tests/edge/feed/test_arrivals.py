"""Who waits for a record goes on once it was read, a few in a turn, and leaves nothing behind."""

import asyncio

import pytest

from edge.feed.arrivals import AT_ONCE, Arrivals
from streams.contract import Offset


class Scene:
    """Some that wait, and when each goes on."""

    def __init__(self) -> None:
        self.arrivals = Arrivals()
        self.turn = 0
        self.went: list[tuple[int, int]] = []

    async def wait(self, number: int, offset: int) -> None:
        await self.arrivals.at(Offset(offset))
        self.went.append((number, self.turn))

    async def waiting(self, *offsets: int) -> list["asyncio.Task[None]"]:
        tasks = [asyncio.create_task(self.wait(number, offset)) for number, offset in enumerate(offsets)]
        await asyncio.sleep(0)
        return tasks

    async def turns(self, count: int = 100) -> list[int]:
        """Turn the loop; return who has gone on."""
        for _ in range(count):
            self.turn += 1
            await asyncio.sleep(0)
        return [number for number, _ in self.went]


async def test_they_go_on_a_few_in_a_turn_in_their_order() -> None:
    scene = Scene()
    await scene.waiting(*[5] * 11)
    scene.arrivals.note(Offset(5))
    assert await scene.turns() == list(range(11))
    turns = [turn for _, turn in scene.went]
    assert max(map(turns.count, turns)) == AT_ONCE
    assert len(scene.arrivals) == 0


async def test_nobody_goes_on_before_what_it_waits_for() -> None:
    scene = Scene()
    await scene.waiting(7, 5, 6)
    scene.arrivals.note(Offset(4))
    assert await scene.turns() == []
    scene.arrivals.note(Offset(6))
    assert await scene.turns() == [1, 2]
    scene.arrivals.note(Offset(9))
    assert await scene.turns() == [1, 2, 0]


@pytest.mark.parametrize("is_due", [False, True])
async def test_nothing_is_kept_of_who_gives_up(*, is_due: bool) -> None:
    """Before its record was read, or behind others; those go on all the same."""
    scene = Scene()
    tasks = await scene.waiting(*[5] * 10, 8)
    if is_due:
        scene.arrivals.note(Offset(8))
    for number in (0, 9, 10):
        tasks[number].cancel()
    await scene.turns(1)
    scene.arrivals.note(Offset(5))
    assert await scene.turns() == list(range(1, 9))
    assert len(scene.arrivals) == 0
    assert scene.arrivals._waiting == {}  # noqa: SLF001


async def test_who_gives_up_in_the_turn_in_which_it_was_to_go_on_is_not_missed() -> None:
    scene = Scene()
    tasks = await scene.waiting(*[5] * 5)
    asyncio.get_running_loop().call_soon(tasks[0].cancel)
    scene.arrivals.note(Offset(5))
    assert await scene.turns() == [1, 2, 3, 4]
