"""The feed's end is asked once for all, and is at most a second old."""

import asyncio

from edge.feed.recent import RecentEnd
from streams.contract import Offset
from tests.streams.virtual import virtual


class Broker:
    """Says an end, a second after it was asked, and counts how often."""

    def __init__(self, *ends: int | None) -> None:
        self.ends = list(ends)
        self.asked = 0

    async def end(self) -> Offset | None:
        self.asked += 1
        await asyncio.sleep(0.25)
        end = self.ends.pop(0)
        return None if end is None else Offset(end)


@virtual
async def test_many_who_ask_within_a_second_put_one_question() -> None:
    broker = Broker(5)
    recent = RecentEnd(broker.end)
    assert await asyncio.gather(*(recent.offset() for _ in range(100))) == [5] * 100
    await asyncio.sleep(0.74)
    assert await recent.offset() == 5
    assert broker.asked == 1


@virtual
async def test_an_answer_is_as_old_as_its_question() -> None:
    broker = Broker(5, 6)
    recent = RecentEnd(broker.end)
    assert await recent.offset() == 5
    await asyncio.sleep(0.76)
    assert await recent.offset() == 6


@virtual
async def test_no_answer_is_not_remembered() -> None:
    broker = Broker(None, 6)
    recent = RecentEnd(broker.end)
    assert await recent.offset() is None
    assert await recent.offset() == 6
