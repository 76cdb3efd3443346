"""The feed's end is asked once for all, and is at most a second old."""

import asyncio

import pytest

from edge.feed.recent import RecentEnd
from streams.contract import Offset
from tests.streams.virtual import virtual


class Broker:
    """Says ends, each some seconds after it was asked, and counts how often."""

    def __init__(self, *ends: int | None, seconds: float = 0.25) -> None:
        self.ends = list(ends)
        self.seconds = seconds
        self.asked = 0

    async def end(self) -> Offset | None:
        self.asked += 1
        end = self.ends.pop(0)
        await asyncio.sleep(self.seconds)
        return None if end is None else Offset(end)


@virtual
async def test_many_who_ask_within_a_second_put_one_question() -> None:
    broker = Broker(5)
    recent = RecentEnd(broker.end, 5)
    assert await asyncio.gather(*(recent.offset() for _ in range(100))) == [5] * 100
    await asyncio.sleep(0.74)
    assert await recent.offset() == 5
    assert broker.asked == 1


@virtual
async def test_an_answer_is_as_old_as_its_question() -> None:
    broker = Broker(5, 6)
    recent = RecentEnd(broker.end, 5)
    assert await recent.offset() == 5
    await asyncio.sleep(0.76)
    assert await recent.offset() == 6


@virtual
async def test_no_answer_is_not_remembered() -> None:
    broker = Broker(None, 6)
    recent = RecentEnd(broker.end, 5)
    assert await recent.offset() is None
    assert await recent.offset() == 6


@virtual
async def test_no_answer_is_for_all_who_waited_for_it() -> None:
    """They do not ask one after the other."""
    broker, begun = Broker(None, seconds=5), asyncio.get_running_loop().time()
    recent = RecentEnd(broker.end, 60)
    assert await asyncio.gather(*(recent.offset() for _ in range(9))) == [None] * 9
    assert (broker.asked, asyncio.get_running_loop().time() - begun) == (1, 5)


@virtual
async def test_a_question_that_is_not_answered_is_given_up() -> None:
    broker, begun = Broker(5, seconds=100), asyncio.get_running_loop().time()
    assert await RecentEnd(broker.end, 5).offset() is None
    assert asyncio.get_running_loop().time() - begun == 5


@virtual
async def test_who_comes_long_after_a_question_gets_the_answer_to_another() -> None:
    """The one that is under way would be too old."""
    broker = Broker(5, 6, seconds=3)
    recent = RecentEnd(broker.end, 60)
    early = asyncio.create_task(recent.offset())
    await asyncio.sleep(1.01)
    late = asyncio.create_task(recent.offset())
    assert (await early, await late) == (5, 6)


@virtual
async def test_a_question_whose_asker_left_is_not_taken_for_answered() -> None:
    broker = Broker(5, 6, seconds=0.25)
    recent = RecentEnd(broker.end, 60)
    assert await recent.offset() == 5
    await asyncio.sleep(2)
    one = asyncio.create_task(recent.offset())
    await asyncio.sleep(0.1)
    one.cancel()
    assert await recent.offset() == 6
    assert broker.asked == 2


@virtual
async def test_those_who_waited_get_the_answer_one_in_a_turn() -> None:
    """Each goes on to something that takes time."""
    recent, answered, most = RecentEnd(Broker(5).end, 60), 0, 0

    async def ask() -> None:
        nonlocal answered
        await recent.offset()
        answered += 1

    tasks = [asyncio.create_task(ask()) for _ in range(50)]
    while answered < len(tasks):
        before = answered
        await asyncio.sleep(0 if asyncio.get_running_loop().time() >= 1000.25 else 0.25)
        most = max(most, answered - before)
    assert most <= 2


@virtual
async def test_who_leaves_takes_the_answer_from_nobody() -> None:
    broker = Broker(5)
    recent = RecentEnd(broker.end, 60)
    one, other = (asyncio.create_task(recent.offset()) for _ in range(2))
    await asyncio.sleep(0.1)
    one.cancel()
    assert await other == 5
    assert broker.asked == 1


@virtual
async def test_a_question_that_failed_is_put_again() -> None:
    broker = Broker()
    recent = RecentEnd(broker.end, 60)
    with pytest.raises(IndexError):
        await recent.offset()
    broker.ends.append(5)
    assert await recent.offset() == 5
