"""A gap in the feed, and the end of an edge, with thousands of clients: how long the loop's turns are meanwhile.

Half of the clients have cursors and are told of the gap; the others are plain, and are closed after it, one after the
other. Then the edge is told to end. A turn that takes long is one in which nobody else is served: 20 ms of CPU time is
the most that it should take.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaProducer

from integration import topics
from integration.bench.companion import Companion, companion
from integration.bench.feed import Feed
from integration.bench.figures import Figure, Goal
from integration.bench.posts import FIRST_ID, feed_record
from integration.bench.stage import Stage
from integration.bench.usage import Turns, turns_of
from integration.system import Process

PART: Final = "upheaval"
_ALL: Final = Goal("at least", 1)
_RATE: Final = 500
_JOIN_SECONDS: Final = 60
"""On a busy machine Kafka takes its time, and nobody is to be refused."""
_WRITE_SECONDS: Final = 90.0
"""Some brokers know no transactions, and do not say so."""
_STOP_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    clients: int = 10_000
    drain_seconds: float = 10
    gap_seconds: float = 70
    """After a minute all plain clients are closed (see ``edge.fanout.everybody``)."""


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Have clients come, a gap, and the end; look at the turns of each."""
    stage.say(f"{PART}: {size.clients:,} clients have a gap, and an edge with as many is told to end")
    half = size.clients // 2
    async with (
        stage.installation(DRAIN_SECONDS=size.drain_seconds, JOIN_SECONDS=_JOIN_SECONDS) as (system, edge),
        stage.producer() as producer,
        companion("integration.bench.comebacks", edge.port, _RATE, 0) as plain,
        companion("integration.bench.comebacks", edge.port, _RATE, 1) as knowing,
    ):
        feed = Feed(producer, system.feed)
        await feed.window(1)
        await asyncio.gather(*(each.ask(come=half, seconds=0) for each in (plain, knowing)))
        await asyncio.to_thread(
            edge.until,
            lambda: edge.connections() == 2 * half,
            "has all clients",
        )
        await feed.window(1)
        before = await turns_of(edge)
        await _make_hole(stage.kafka_url, system.feed)
        closed = await _read(size.gap_seconds, plain, knowing)
        gap = _less(await turns_of(edge), before)
        # Whoever was closed comes back.
        await plain.ask(come=half, seconds=0)
        before = await turns_of(edge)
        watching = asyncio.create_task(_read(size.drain_seconds + 2, plain, knowing))
        edge.ask_to_end()
        drain = _less(await _last_turns(edge), before)
        left = await watching - closed
        edge.until_ended(60)
    name = f"{size.clients:,} clients"
    return [
        Figure(PART, f"{name}, a gap: closed within {size.gap_seconds:g} s", "of plain ones", [closed / half], _ALL),
        Figure(PART, f"{name}, a gap: turns of at most 20 ms of CPU time", "of all", [gap.cheap / gap.all], _ALL),
        Figure(PART, f"{name}, the end: closed", "of all", [left / (2 * half)], _ALL),
        Figure(PART, f"{name}, the end: turns of at most 20 ms of CPU time", "of all", [drain.cheap / drain.all], _ALL),
    ]


async def _make_hole(kafka_url: str, feed: str) -> None:
    """Write a record in a transaction: its marker takes an offset that no record has; and one behind it."""
    servers = kafka_url.removeprefix("kafka://")
    producer = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=feed)
    try:
        async with asyncio.timeout(_WRITE_SECONDS):
            await producer.start()
            async with producer.transaction():
                await producer.send_and_wait(feed, feed_record([FIRST_ID - 1]), partition=0)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await producer.stop()
    await topics.write(kafka_url, feed, [feed_record([FIRST_ID - 2])])


async def _read(seconds: float, *clients: Companion) -> int:
    """Have them read for so long; return how many the server has closed in all."""
    answers = await asyncio.gather(*(each.ask(come=0, seconds=seconds) for each in clients))
    return sum(answer["closed"] for answer in answers)


async def _last_turns(edge: Process) -> Turns:
    """Return the turns of an edge that ends, as of the last time when it could be asked."""
    last = await turns_of(edge)
    while True:
        try:
            last = await turns_of(edge)
        except (OSError, KeyError):
            return last
        await asyncio.sleep(0.1)


def _less(after: Turns, before: Turns) -> Turns:
    return Turns(*(late - early for late, early in zip(after, before, strict=True)))
