"""An edge is killed: its clients come to another one all at once, and are taken in one after the other."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import pytest

from integration import topics
from integration.bench.usage import are_cheap, turns_of
from integration.conftest import Install
from integration.files import raise_file_limit
from integration.returning import Returning
from integration.system import Process
from streams.contract import FeedRecord, Millis, Publication, encode_feed

_GIVEN: Final = 0.8
"""Which part of the rate is given to clients that come back."""
_PATIENCE_SECONDS: Final = 120.0


def _record(id_: int) -> bytes:
    payload = msgspec.Raw(msgspec.json.encode({"id": id_}))
    return encode_feed(FeedRecord(Millis(0), [Publication("created", id_, payload)]))


async def _joined(clients: Iterable[Returning], edge: Process) -> list[asyncio.Task[None]]:
    """Have all connect, one after the other: they come at once later."""
    following = []
    for number, client in enumerate(clients):
        following.append(asyncio.create_task(client.follow(edge.port)))
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while number % 100 == 0 and client.welcomed is None:
                await asyncio.sleep(0.01)
    return following


@pytest.mark.parametrize(
    ("count", "rate"), [(400, 40), pytest.param(10_000, 600, marks=pytest.mark.endurance, id="many")]
)
async def test_the_clients_of_a_killed_edge_come_back_within_what_the_rate_says(
    install: Install, count: int, rate: int
) -> None:
    """Each with all that it has missed, and once; no turn of the loop takes more than 20 ms of CPU time."""
    raise_file_limit()
    system = install()
    kafka, feed = system.environment["KAFKA_URL"], system.feed
    await topics.create(kafka, {feed: 1})
    await topics.write(kafka, feed, [_record(1)])
    killed, other = system.edge(JOIN_RATE=0), system.edge(JOIN_RATE=rate)
    for edge in (killed, other):
        await asyncio.to_thread(edge.until_ready)
    clients = [Returning() for _ in range(count)]

    async def until(condition: Callable[[Returning], bool]) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not all(map(condition, clients)):
                await asyncio.sleep(0.05)

    first = await _joined(clients, killed)
    await until(lambda client: client.welcomed is not None)
    before = await turns_of(other)
    await topics.write(kafka, feed, [_record(2)])
    await until(lambda client: client.posts == [2])
    for client in clients:
        client.comes_back = False
    await asyncio.to_thread(killed.kill)
    await asyncio.wait(first)
    for client in clients:
        client.comes_back = True
    await topics.write(kafka, feed, [_record(3), _record(4)])
    begun = time.monotonic()
    again = [asyncio.create_task(client.follow(other.port)) for client in clients]
    await until(lambda client: client.posts == [2, 3, 4] and not client.is_behind)
    after = await turns_of(other)
    welcomed = sorted(client.welcomed - begun for client in clients if client.welcomed is not None)
    # A second's worth at once, and the rate from then on; what is read late is no matter.
    assert all(each >= number / rate - 1.1 for number, each in enumerate(welcomed))
    # On a busy machine the clients, and not the edge, may be late.
    assert welcomed[-1] <= 1.5 * (count - rate) / (_GIVEN * rate) + 10
    # Unless they came more slowly than that, which the clients of a busy machine may.
    assert any(client.refusals for client in clients) or welcomed[-1] > (count - rate) / rate
    refused = await asyncio.to_thread(other.metric, "postcast_edge_refusals_total", by="websocket", why="rate")
    # What a client does not live to read is counted all the same.
    assert refused >= sum(client.refusals for client in clients)
    resumed = await asyncio.to_thread(other.metric, "postcast_edge_resumes_total", outcome="recovered")
    assert resumed == count
    assert are_cheap(before, after), (before, after)
    for task in again:
        task.cancel()
    await asyncio.wait(again)
