"""One question for many."""

import asyncio

import pytest

from edge.feed.shared import Shared


class Asked:
    """Answers with how often it was asked, when it may."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.may_answer = asyncio.Event()

    async def __call__(self) -> int:
        """Answer."""
        self.times.append(asyncio.get_running_loop().time())
        count = len(self.times)
        await self.may_answer.wait()
        return count


async def _gathered(tasks: list[asyncio.Task[int | None]]) -> list[int | None]:
    return await asyncio.gather(*tasks)


async def test_who_comes_while_it_is_asked_shares_the_next_answer() -> None:
    """The answer under way may be older than its question."""
    ask = Asked()
    shared = Shared(ask)
    early = asyncio.create_task(shared.answer())
    await asyncio.sleep(0)
    late = [asyncio.create_task(shared.answer()) for _ in range(50)]
    await asyncio.sleep(0)
    ask.may_answer.set()
    assert await early == 1
    assert await _gathered(late) == [2] * 50


@pytest.mark.parametrize(
    ("is_kept", "times", "answers"), [(False, 2, [2] + [3] * 49), (True, 1, [2] * 50)], ids=["ends", "is kept"]
)
async def test_a_question_ends_with_who_has_put_it_or_is_kept(*, is_kept: bool, times: int, answers: list[int]) -> None:
    """It is one at a time all the same, and nobody gets an answer to a question that was put before they came."""
    ask = Asked()
    shared = Shared(ask, is_kept=is_kept)
    first = asyncio.create_task(shared.answer())
    while not ask.times:
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    late = [asyncio.create_task(shared.answer()) for _ in range(50)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(ask.times) == times
    ask.may_answer.set()
    assert await _gathered(late) == answers


async def test_it_is_asked_so_often_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when those who waited have given up: strangers cannot make it more."""
    slept: list[float] = []
    turn = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await turn(0)

    ask = Asked()
    shared = Shared(ask, apart=60)
    first = asyncio.create_task(shared.answer())
    while not ask.times:
        await asyncio.sleep(0)
    monkeypatch.setattr("edge.feed.shared.asyncio.sleep", sleep)
    first.cancel()
    await asyncio.wait([first])
    ask.may_answer.set()
    assert await _gathered([asyncio.create_task(shared.answer()) for _ in range(1000)]) == [2] * 1000
    [pause] = slept
    assert 0 < 60 - pause < 5
