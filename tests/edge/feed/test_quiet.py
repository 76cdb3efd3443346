"""A feed that is quiet, and one that is read from a deposed leader."""

import asyncio

import pytest

from edge.feed import quiet
from edge.feed.quiet import Quiet
from edge.feed.repeats import NO_TIME
from edge.feed.topic import Raw, Read, Unreachable
from streams.contract import Offset
from tests.edge.kit.records import record


class Others:
    """What the others know, and a clock that is set by hand."""

    def __init__(self, end: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
        self.end = end
        self.asked = 0
        self.now = 0.0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)

    async def confirmed_end(self) -> Offset | None:
        """Answer when it may."""
        self.asked += 1
        await self.may_answer.wait()
        return None if self.end is None else Offset(self.end)


async def hear(watch: Quiet, offset: int, *, seconds: int, others: Others, is_quiet: bool = True) -> None:
    """Tell of two reads a second."""
    for _ in range(2 * seconds):
        others.now += 0.5
        watch.heard(
            Read([] if is_quiet else [Raw(Offset(offset - 1), record(1), NO_TIME)], Offset(offset), Offset(offset))
        )
        await asyncio.sleep(0)


async def test_nobody_is_asked_while_records_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor for a while after the last one."""
    others = Others(9, monkeypatch)
    watch = Quiet(others.confirmed_end)
    await hear(watch, 1, seconds=60, others=others, is_quiet=False)
    await hear(watch, 1, seconds=int(quiet.SECONDS) - 1, others=others)
    assert others.asked == 0


@pytest.mark.parametrize("end", [1, 0, None])
async def test_a_quiet_feed_is_read_on(end: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the others know of no more, or do not agree; and they are not asked all the time."""
    others = Others(end, monkeypatch)
    watch = Quiet(others.confirmed_end)
    await hear(watch, 1, seconds=60, others=others)
    assert others.asked == 60 // 6.5


async def test_what_the_others_know_has_some_time_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the one that is read from leads no more. Reading goes on while they are asked."""
    others = Others(2, monkeypatch)
    watch = Quiet(others.confirmed_end)
    others.may_answer.clear()
    await hear(watch, 1, seconds=30, others=others)
    assert others.asked == 1
    others.may_answer.set()
    await hear(watch, 1, seconds=1, others=others)
    await hear(watch, 2, seconds=1, others=others, is_quiet=False)
    others.end = 3
    with pytest.raises(Unreachable):
        await hear(watch, 2, seconds=20, others=others)
    assert (others.asked, others.now) == (2, 30 + 1 + 1 + 6 + 0.5 + 1.5)


async def test_its_question_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the answer."""
    others = Others(2, monkeypatch)
    watch = Quiet(others.confirmed_end)
    others.may_answer.clear()
    await hear(watch, 1, seconds=11, others=others)
    watch.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1
