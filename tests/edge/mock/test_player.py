"""What a mock's feed brings to an edge that reads it, step by step."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Self

import pytest

from edge.feed.follow import Source
from edge.feed.log import Log
from edge.feed.position import Reason
from edge.mock.issuer import Issuer
from edge.mock.link import Link
from edge.mock.player import Player
from edge.mock.posts import millis
from edge.mock.scenarios import Act, Lose, Step, Write
from tests.edge.kit.records import everything, ids
from tests.edge.kit.running import running


class Recorded(Link):
    """A link that notes what is done to it."""

    def __init__(self) -> None:
        super().__init__(None)
        self.done: list[str] = []

    def cut(self) -> None:
        """Note it."""
        self.done.append("cut")

    def halve(self) -> None:
        """Note it."""
        self.done.append("halve")

    def freeze(self) -> None:
        """Note it."""
        self.done.append("freeze")


class Reader:
    """An edge's source and its log."""

    def __init__(self, player: Player) -> None:
        self.log = Log(limit=1 << 22, reach=1000)
        self.interrupted: list[Reason] = []
        self.source = Source(
            player.feed.topic, name="posts.feed", log=self.log, hub=self, history=1000, reach=1000, patience=0
        )

    def publish(self, read_at: float | None = None) -> None:
        """Have nobody to tell."""

    def interrupt(self, reason: Reason) -> None:
        """Note it."""
        self.interrupted.append(reason)

    @property
    def shown(self) -> list[int]:
        """The posts that the log offers."""
        return ids(everything(self.log, self.log.tail))

    @asynccontextmanager
    async def following(self) -> AsyncIterator[Self]:
        """Follow meanwhile."""
        async with running(self.source.run()):
            yield self


def player(*, waits: bool = False) -> Player:
    """Make a player of windows that take no time."""
    return Player(seed=1, window=0.001, waits=waits, issuer=Issuer())


async def played(*steps: Step) -> tuple[Reader, Recorded]:
    """Play some steps to an edge that reads."""
    mock, link = player(), Recorded()
    async with Reader(mock).following() as reader:
        await mock.play(steps, link)
        await mock.followed()
    return reader, link


def write(begin: int, end: int, at: float = 0.001, *, is_shown: bool = True) -> Write:
    """Return the step that writes these posts."""
    return Write(at, range(begin, end), is_shown)


async def test_records_are_written_by_the_clock() -> None:
    """Each when it is due, and not before."""
    loop = asyncio.get_running_loop()
    mock, begun = player(), loop.time()
    async with Reader(mock).following() as reader:
        await mock.play([write(1, 3, 0), write(3, 4, 0.02), write(4, 6, 0.04)], Recorded())
        assert loop.time() - begun >= 0.04
        await mock.followed()
        assert reader.shown == [1, 2, 3, 4, 5]


async def test_the_clock_waits_for_the_first_client_where_it_is_told_so() -> None:
    """What is there before it begins is written at once."""
    mock, link = player(waits=True), Recorded()
    async with Reader(mock).following() as reader:
        playing = asyncio.create_task(mock.play([write(1, 3, 0), write(3, 4)], link))
        await mock.followed()
        while reader.shown != [1, 2]:
            await asyncio.sleep(0)
        assert not playing.done()
        link.asked.set()
        await playing
        await mock.followed()
        assert reader.shown == [1, 2, 3]


async def test_the_time_in_the_feed_begins_with_its_epoch_and_moves_with_its_clock() -> None:
    """The live page takes its time from it: posts of 2026 are of today, whatever today is."""
    mock = player(waits=True)
    assert mock.now() == millis(0)
    link = Recorded()
    link.asked.set()
    await mock.play([write(1, 2, 0), write(2, 3, 0.02)], link)
    assert millis(0.02) <= mock.now() < millis(60)


async def test_records_that_would_be_too_large_are_several() -> None:
    reader, _ = await played(write(1, 2001))
    assert reader.shown == list(range(1, 2001))
    assert reader.source.records > 1


@pytest.mark.parametrize(("act", "done"), [(Act.CUT, "cut"), (Act.HALVE, "halve"), (Act.FREEZE, "freeze")])
async def test_what_happens_to_links_is_done_to_them(act: Act, done: str) -> None:
    _, link = await played(write(1, 2), act)
    assert link.done == [done]


async def test_what_is_lost_is_a_hole() -> None:
    """The edge goes on behind it at once, and has said that there is one."""
    reader, _ = await played(write(1, 2), Lose(range(2, 3)), Act.SKIP, write(3, 4))
    assert (reader.interrupted, reader.shown[-1:], reader.source.reconnects) == (["interrupted"], [3], 0)


def missed() -> Iterable[Step]:
    """Return steps of which the edge gets the first and the last record alone."""
    return (write(1, 2), Act.STALL, write(2, 3, is_shown=False), write(3, 4, is_shown=False), Act.EXPIRE, write(4, 5))


async def test_what_is_removed_while_it_is_stalled_is_a_gap() -> None:
    """And everything that is written before and behind it comes: not a post more is missing."""
    for _ in range(5):
        reader, _ = await played(*missed())
        assert (reader.interrupted, reader.shown, reader.source.records) == (["interrupted"], [4], 2)


async def test_while_kafka_is_away_records_are_written_and_come_later() -> None:
    mock = player()
    async with Reader(mock).following() as reader:
        await mock.play([write(1, 2), Act.LEAVE, write(2, 3)], Recorded())
        while reader.source.trouble is None:
            await asyncio.sleep(0)
        await mock.play([Act.RETURN], Recorded())
        await mock.followed()
        assert (reader.shown, reader.interrupted) == ([1, 2], [])


async def test_an_edge_that_starts_anew_finds_the_same_feed() -> None:
    """It is asked for once the edge has read everything."""
    mock = player()
    async with Reader(mock).following():
        await mock.play([write(1, 3), Act.RESTART], Recorded())
        assert mock.restart.is_set()
    async with Reader(mock).following() as reader:
        await mock.followed()
        while reader.shown != [1, 2]:
            await asyncio.sleep(0)


async def test_tokens_are_given_once_more_and_then_not_until_they_are_given_again() -> None:
    issuer = Issuer()
    mock = Player(seed=1, window=2, waits=False, issuer=issuer)
    await mock.play([Act.LAST_TOKENS], Recorded())
    assert [issuer.token("me") is None for _ in range(3)] == [False, True, True]
    await mock.play([Act.TOKENS], Recorded())
    assert issuer.token("me") is not None
