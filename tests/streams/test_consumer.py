"""A delivery is acknowledged after its confirmation, and posts and dead letters do not wait for one another."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from streams.consumer import Consumer
from streams.contract import DeadLetter, PostId, dead_letter
from streams.deliveries import Acknowledgement
from tests.streams.doubles import Gate, turns

POISON = dead_letter("not_an_id", "why", b"poison")


class Bench:
    """A consumer, and its ports in memory: each can fail, be held and answer late."""

    def __init__(self, *, gather: float = 0, enough: int = 1) -> None:
        self.announced: list[list[int]] = []
        self.letters: list[int] = []
        self.acknowledged: list[Acknowledgement] = []
        self.posts_gate, self.letters_gate, self.acknowledge_gate = Gate(), Gate(), Gate()
        self.failure: Exception | None = None
        self.turns_of_one_alone = 0
        self.consumer = Consumer(
            announce=self._announce,
            dead_letter=self._dead_letter,
            acknowledge=self._acknowledge,
            enough=enough,
            gather=gather,
        )
        self._tags = 0

    def deliver(self, *judged: int | DeadLetter) -> None:
        for one in judged:
            self._tags += 1
            self.consumer.deliver(self._tags, one if isinstance(one, DeadLetter) else PostId(one))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.consumer.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _announce(self, ids: Sequence[PostId]) -> None:
        self.announced.append(list(ids))
        await self.posts_gate.passed()
        if self.failure:
            raise self.failure

    async def _dead_letter(self, letters: Sequence[DeadLetter]) -> None:
        await self.letters_gate.passed()
        self.letters.append(len(letters))

    async def _acknowledge(self, acknowledgement: Acknowledgement) -> None:
        for _ in range(0 if acknowledgement.multiple else self.turns_of_one_alone):
            await asyncio.sleep(0)
        await self.acknowledge_gate.passed()
        self.acknowledged.append(acknowledgement)


async def test_nothing_is_acknowledged_before_its_confirmation() -> None:
    bench = Bench()
    bench.posts_gate.shut()
    async with bench.running():
        bench.deliver(11, 12)
        await turns()
        assert (bench.announced, bench.acknowledged, bench.consumer.open) == ([[11, 12]], [], 2)
        bench.posts_gate.open()
        await turns()
        assert (bench.acknowledged, bench.consumer.open) == ([Acknowledgement(2, multiple=True)], 0)


async def test_while_one_group_is_confirmed_the_next_gathers() -> None:
    bench = Bench()
    bench.posts_gate.shut()
    async with bench.running():
        bench.deliver(11)
        await turns()
        bench.deliver(12)
        bench.deliver(13)
        await turns()
        assert bench.announced == [[11]]
        bench.posts_gate.open()
        await turns()
        assert bench.announced == [[11], [12, 13]]
        assert bench.acknowledged == [Acknowledgement(1, multiple=True), Acknowledgement(3, multiple=True)]


async def test_a_letter_that_cannot_be_written_keeps_no_post_back() -> None:
    """Nor is it acknowledged with a post that came after it."""
    bench = Bench()
    bench.letters_gate.shut()
    async with bench.running():
        bench.deliver(POISON, 11, 12)
        await turns()
        assert bench.acknowledged == [Acknowledgement(2, multiple=False), Acknowledgement(3, multiple=False)]
        assert (bench.letters, bench.consumer.open) == ([], 1)
        bench.letters_gate.open()
        await turns()
        assert bench.acknowledged[2:] == [Acknowledgement(1, multiple=False)]
        assert (bench.letters, bench.consumer.open) == ([1], 0)


async def test_a_post_that_cannot_be_written_keeps_no_letter_back() -> None:
    bench = Bench()
    bench.posts_gate.shut()
    async with bench.running():
        bench.deliver(11, POISON)
        await turns()
        assert bench.acknowledged == [Acknowledgement(2, multiple=False)]


async def test_acknowledgements_are_sent_in_the_order_in_which_they_were_decided() -> None:
    """A tag that a cumulative acknowledgement has spoken for must not be acknowledged after it: RabbitMQ objects."""
    bench = Bench()
    bench.turns_of_one_alone = 40
    async with bench.running():
        bench.deliver(POISON)
        await turns(10)
        assert (bench.letters, bench.acknowledged) == ([1], [])
        bench.deliver(11)
        await turns()
        assert bench.acknowledged == [Acknowledgement(1, multiple=False), Acknowledgement(2, multiple=True)]


async def test_letters_are_written_in_groups_that_are_bounded() -> None:
    bench = Bench()
    async with bench.running():
        bench.deliver(*[dead_letter("not_an_id", "why", b"x" * 64 * 1024)] * 20)
        await turns()
        assert bench.letters == [8, 8, 4]


async def test_a_failure_of_the_forwarder_ends_it_with_that_failure_and_acknowledges_nothing() -> None:
    bench = Bench()
    bench.failure = ZeroDivisionError("a defect")
    async with bench.running() as task:
        bench.deliver(11)
        with pytest.raises(ZeroDivisionError, match="a defect"):
            await task
    assert (bench.acknowledged, bench.consumer.open) == ([], 1)


async def test_drained_is_when_all_that_was_delivered_is_acknowledged() -> None:
    bench = Bench()
    await bench.consumer.drained()
    for gate in (bench.posts_gate, bench.letters_gate, bench.acknowledge_gate):
        gate.shut()
    async with bench.running():
        bench.deliver(11, POISON)
        draining = asyncio.create_task(bench.consumer.drained())
        for gate in (bench.posts_gate, bench.letters_gate, bench.acknowledge_gate):
            await turns()
            assert not draining.done()
            gate.open()
        await draining
        assert bench.consumer.open == 0


async def test_posts_gather_until_there_are_enough_and_a_drain_waits_for_no_more() -> None:
    bench = Bench(gather=3600, enough=3)
    async with bench.running():
        bench.deliver(11, 12)
        await turns()
        assert bench.announced == []
        bench.deliver(13, 14)
        await turns()
        assert bench.announced == [[11, 12, 13, 14]]
        bench.deliver(15)
        await turns()
        assert bench.announced == [[11, 12, 13, 14]]
        await bench.consumer.drained()
        assert bench.announced == [[11, 12, 13, 14], [15]]


async def test_posts_gather_no_longer_than_they_are_told_to() -> None:
    bench = Bench(gather=0.001, enough=1000)
    async with bench.running():
        bench.deliver(11)
        async with asyncio.timeout(60):
            while not bench.acknowledged:
                await asyncio.sleep(0)
