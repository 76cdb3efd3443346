"""Where the feed ends, asked of whatever topic is open."""

import asyncio

import pytest

from edge.feed import ends
from edge.feed.ends import Ends
from edge.feed.topic import Unreachable
from streams.contract import Offset


class Broker:
    """Knows an end, and how many have asked; what a majority knows is another record more."""

    def __init__(self, end: int) -> None:
        self.last = end
        self.is_away = False
        self.questions = 0

    async def end(self) -> Offset:
        """Answer in a turn of the loop."""
        self.questions += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise Unreachable("away")
        return Offset(self.last)

    async def confirmed_end(self) -> Offset:
        """Answer so, too."""
        return Offset(await self.end() + 1)


async def answers(asked: Ends) -> tuple[Offset | None, Offset | None]:
    """Ask both."""
    return await asked.end(), await asked.confirmed_end()


async def test_a_topic_answers_as_long_as_it_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else can, whatever became of it."""
    monkeypatch.setattr(ends, "_CONFIRM_SECONDS", 0)
    asked = Ends()
    assert await answers(asked) == (None, None)
    with asked.of(Broker(3)):
        assert await answers(asked) == (3, 4)
    assert await answers(asked) == (None, None)
    with pytest.raises(Unreachable), asked.of(Broker(5)):
        raise Unreachable("lost")
    assert await answers(asked) == (None, None)


async def test_who_cannot_be_reached_gives_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "_CONFIRM_SECONDS", 0)
    asked, broker = Ends(), Broker(3)
    with asked.of(broker):
        broker.is_away = True
        assert await answers(asked) == (None, None)
        broker.is_away = False
        assert await answers(asked) == (3, 4)


async def test_those_who_ask_together_are_one_question() -> None:
    asked, broker = Ends(), Broker(3)
    with asked.of(broker):
        assert await asyncio.gather(*(asked.end() for _ in range(50))) == [3] * 50
        # The first one's, and that for all who came while it was under way.
        assert broker.questions == 2


async def test_there_is_one_confirmation_in_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "_CONFIRM_SECONDS", 3600.0)
    asked, broker = Ends(), Broker(3)
    with asked.of(broker):
        assert await asked.confirmed_end() == 4
        waiting = asyncio.create_task(asked.confirmed_end())
        for _ in range(100):
            await asyncio.sleep(0)
        assert (broker.questions, waiting.done()) == (1, False)
        waiting.cancel()
        await asyncio.wait([waiting])
