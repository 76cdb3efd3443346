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
        self.questions = self.given_up = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def end(self) -> Offset:
        """Answer in a turn of the loop, when it may."""
        self.questions += 1
        try:
            await asyncio.sleep(0)
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
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


async def test_a_topic_that_is_closed_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client would try on for seconds. Who asked has no answer, and who asks now has the next topic's."""
    monkeypatch.setattr(ends, "_CONFIRM_SECONDS", 0)
    asked, silent = Ends(), Broker(3)
    silent.may_answer.clear()
    with asked.of(silent):
        waiting = asyncio.gather(*(asyncio.create_task(answer) for answer in (asked.end(), asked.confirmed_end())))
        while silent.questions < 2:
            await asyncio.sleep(0)
    with asked.of(Broker(5)):
        assert await asyncio.wait_for(answers(asked), 1) == (5, 6)
        assert await waiting == [None, None]


async def test_who_gives_up_takes_the_question_along() -> None:
    """Nobody waits for its answer: it was put for those who came before."""
    asked, silent = Ends(), Broker(3)
    silent.may_answer.clear()
    with asked.of(silent):
        waiting = asyncio.create_task(asked.end())
        while not silent.questions:
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await asyncio.sleep(0)
        assert (waiting.cancelled(), silent.given_up) == (True, 1)
