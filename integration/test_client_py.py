"""The Python client: nothing lost, twice or out of order, whatever edges do."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import chain, repeat
from typing import Final

import jwt
import pytest

from edge.client import Feed, Gap, Post, Token, Transport, Unauthorized, connect
from edge.positions.device import Key
from edge.positions.postgres import PostgresStore
from integration import fed, topics
from integration.conftest import Install
from integration.database import Database
from integration.ordeals import survive
from integration.relay import relaying
from integration.stored import until_stored
from integration.system import Process, System
from runtime.database_url import parse

_PATIENCE_SECONDS: Final = 90.0

_KEY: Final = secrets.token_urlsafe(48)
_LEEWAY_SECONDS: Final = 30
"""For so long an edge takes a token that has expired."""


@pytest.fixture
def system(install: Install) -> System:
    """One edge that says often that it lives, and knows a key; and a feed that no worker writes."""
    system = install(HEARTBEAT_SECONDS=3, LONG_POLL_SECONDS=2, DRAIN_SECONDS=2, JWT_SECRET_KEY=_KEY)
    asyncio.run(topics.create(system.environment["KAFKA_URL"], {system.feed: 1}))
    system.edge().until_ready()
    return system


class Viewer:
    """Iterates over a feed, and writes down what it was given."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.ids: list[int] = []
        self.gaps: list[Gap] = []

    @property
    def state(self) -> str:
        return self.feed.state

    async def run(self) -> None:
        async for item in self.feed:
            if isinstance(item, Post):
                self.ids.append(item.id)
            else:
                self.gaps.append(item)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not condition():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(
                f"not within {_PATIENCE_SECONDS:.0f} s: {what}; {self.feed.state}, {self.ids}"
            ) from None


@asynccontextmanager
async def viewing(url: str, transport: Transport, token: Token | None = None) -> AsyncIterator[Viewer]:
    async with connect(url, transports=[transport], token=token) as feed:
        viewer = Viewer(feed)
        running = asyncio.create_task(viewer.run())
        yield viewer
        await feed.close()
        await running


@pytest.mark.parametrize("transport", ["websocket", "long-polling"])
async def test_nothing_is_lost_twice_or_out_of_order_whatever_an_edge_does(
    system: System, transport: Transport
) -> None:
    """It is killed, frozen, drained, and cut off, with posts before, meanwhile and afterwards."""
    shown, [edge] = fed.Feed(system), system.processes
    async with relaying(edge.port) as relay, viewing(f"http://127.0.0.1:{relay.port}/", transport) as viewer:
        await survive(shown, viewer, edge, relay, notices_silence=transport == "websocket")
        assert viewer.feed.cursor is not None


def token(seconds: float, *authors: int, key: str = _KEY) -> str:
    """Return a token that allows these authors' posts, everybody's if there are none, and ends in so many seconds."""
    claim = {"postcast": {"authors": authors}} if authors else {}
    return jwt.encode({"sub": "a", "exp": time.time() + seconds, **claim}, key, "HS256")


@pytest.mark.parametrize("transport", ["websocket", "long-polling"])
async def test_a_token_is_renewed_while_it_follows_and_what_the_new_one_allows_holds_from_then_on(
    system: System, transport: Transport
) -> None:
    """By message on a WebSocket; by another request, after the old one is refused, where it polls."""
    shown, [edge] = fed.Feed(system), system.processes
    life = 4 if transport == "websocket" else 20 - _LEEWAY_SECONDS
    tokens = chain([token(life, 1)], repeat(token(600, 2)))
    may_renew = asyncio.Event()

    async def ask() -> str:
        one = next(tokens)
        if viewer.feed.cursor is not None:
            await may_renew.wait()
        return one

    async with viewing(f"http://127.0.0.1:{edge.port}/", transport, ask) as viewer:
        await viewer.until(lambda: viewer.state == "live", "live")
        await shown.show(1, author=2)
        await shown.show(2, author=1)
        first = shown.ids[1:]
        await viewer.until(lambda: viewer.ids == first, "the posts of author 1")
        may_renew.set()
        known = len(shown.ids)
        while viewer.ids == first:
            await shown.show(1, author=2)
            await asyncio.sleep(0.1)
        await shown.show(1, author=1)
        await shown.show(1, author=2)
        await viewer.until(lambda: viewer.ids[-1] == shown.ids[-1], "the last post")
        behind = [id_ for id_ in shown.ids[known:] if id_ != shown.ids[-2]]
        assert viewer.ids == first + behind[len(behind) - len(viewer.ids) + len(first) :]
        assert viewer.gaps == []


async def test_a_token_that_runs_out_ends_the_connection_and_the_next_one_goes_on_behind_it(system: System) -> None:
    shown, [edge] = fed.Feed(system), system.processes
    feeds: list[Feed] = []
    begun = 0

    def ask() -> str | None:
        nonlocal begun
        if feeds and feeds[0].state == "live":
            return None
        begun += 1
        return token(2 - _LEEWAY_SECONDS)

    async with viewing(f"http://127.0.0.1:{edge.port}/", "websocket", ask) as viewer:
        feeds.append(viewer.feed)
        await viewer.until(lambda: viewer.state == "live", "live")
        while begun < 3:
            await shown.show(1)
            await asyncio.sleep(0.1)
        await shown.until_shown(viewer)
        assert viewer.gaps == []


@pytest.mark.parametrize("transport", ["websocket", "long-polling"])
@pytest.mark.parametrize("seconds", [600, -3600])
async def test_a_token_that_is_refused_ends_the_feed_with_what_it_is(
    system: System, transport: Transport, seconds: float
) -> None:
    """One of another key, and one that has expired."""
    [edge] = system.processes
    bad = token(seconds, key=secrets.token_urlsafe(48) if seconds > 0 else _KEY)
    async with connect(f"http://127.0.0.1:{edge.port}/", transports=[transport], token=bad) as feed:
        with pytest.raises(Unauthorized) as refused:
            await anext(feed)
        assert refused.value.code == 4501
        assert bad not in str(refused.value)


async def test_a_device_goes_on_at_another_edge_with_nothing_but_its_name(install: Install, database: Database) -> None:
    """Behind what its last client had handled; behind what was acknowledged, when that one's edge was killed."""
    store, phone = PostgresStore(parse(database.url)), Key("a", "phone")
    await store.create()
    system = install(JWT_SECRET_KEY=_KEY, POSITIONS_URL=database.url, ACK_SECONDS=1, DRAIN_SECONDS=2)
    await topics.create(system.environment["KAFKA_URL"], {system.feed: 1})
    one, other = edges = [system.edge(), system.edge()]
    for edge in edges:
        await asyncio.to_thread(edge.until_ready)
    shown = fed.Feed(system)

    def following(edge: Process) -> Feed:
        return connect(f"http://127.0.0.1:{edge.port}/", device="phone", token=lambda: token(600))

    async def next_ids(feed: Feed, number: int) -> list[int]:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return [item.id for item in [await anext(feed) for _ in range(number)] if isinstance(item, Post)]

    async with following(one) as feed:
        # It has been told where it begins, and the edge that it knows that.
        waiting = asyncio.create_task(next_ids(feed, 3))
        while feed.acknowledged is None:
            await asyncio.sleep(0.02)
        await shown.show(5)
        assert await waiting == shown.ids[:3]
        feed.handled()
    await until_stored(store, phone, feed.cursor)
    async with following(other) as feed:
        assert await next_ids(feed, 1) == shown.ids[3:4]
        assert await next_ids(feed, 1) == shown.ids[4:]
        # The fifth is in hand, and the fourth was handled.
        await until_stored(store, phone, feed.cursor)
        other.kill()
    await store.close()
    async with following(one) as feed:
        assert await next_ids(feed, 1) == shown.ids[4:]
