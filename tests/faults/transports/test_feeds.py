"""What the checker makes of what the Python client hands out."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import aiohttp
import pytest

from edge import client
from edge.fanout.deadlines import Patience
from integration.faults.sight import Breach, Lost, Moved, Shown, Told, Welcomed
from integration.faults.transports.feeds import Addresses, FeedConnection, Feeds
from tests.edge.kit.edge import Edge, serving
from tests.edge.kit.web import Web
from tests.streams.virtual import virtual


async def test_a_name_leads_to_another_edge_each_time_and_to_all_of_them() -> None:
    addresses = Addresses(["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"], "127.0.0.1:2")
    found = [[one["port"] for one in await addresses.resolve("edges.example", 80)] for _ in range(4)]
    assert found == [[2, 3, 1], [3, 1, 2], [1, 2, 3], [2, 3, 1]]


@asynccontextmanager
async def connected(
    *edges: Edge, transport: Feeds | None = None, cursor: str | None = None, authors: frozenset[int] | None = None
) -> AsyncIterator[tuple[AsyncIterator[Told], FeedConnection]]:
    addresses = [f"127.0.0.1:{edge.port}" for edge in edges]
    async with (transport or Feeds(addresses)).connect(addresses[0], cursor, authors) as connection:
        yield connection.told(), connection


@pytest.mark.parametrize("by", ["websocket", "long-polling"])
async def test_it_tells_what_is_shown_and_goes_on_behind_it(by: str) -> None:
    async with serving() as edge:
        transport = Feeds([f"127.0.0.1:{edge.port}"], by="websocket" if by == "websocket" else "long-polling")
        async with connected(edge, transport=transport) as (told, _):
            assert isinstance(await anext(told), Welcomed)
            edge.feed.publish(7)
            shown = await anext(told)
            assert isinstance(shown, Shown)
            assert shown.post == 7
        edge.feed.publish(8)
        async with connected(edge, transport=transport, cursor=shown.cursor) as (told, _):
            welcomed, behind = await anext(told), await anext(told)
            assert isinstance(welcomed, Welcomed)
            assert welcomed.is_recovered
            assert isinstance(behind, Shown)
            assert behind.post == 8


async def refusing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a proxy whose edge is away."""
    writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("polls", [True, False])
async def test_one_that_polls_does_so_where_no_websocket_can_be_opened(*, polls: bool) -> None:
    """At the address that its name leads to next."""
    async with serving() as edge, await asyncio.start_server(refusing, "127.0.0.1", 0) as away:
        first = f"127.0.0.1:{away.sockets[0].getsockname()[1]}"
        transport = Feeds([first, f"127.0.0.1:{edge.port}"], polls=polls)
        async with transport.connect(first, None, None) as connection:
            assert isinstance(await anext(connection.told()), Welcomed)
            assert len(edge.hub) == (not polls)


async def test_a_gap_is_a_welcome_that_says_so() -> None:
    async with serving() as edge, connected(edge, cursor="nonsense") as (told, _):
        welcomed = await anext(told)
        assert isinstance(welcomed, Welcomed)
        assert not welcomed.is_recovered


async def test_a_place_without_a_post_is_told() -> None:
    """A heartbeat moves a client that has chosen posts that nobody writes."""
    patience = Patience(ping=0.2, dead=60, stalled=600, heartbeat=0.2)
    async with serving(patience=patience) as edge, connected(edge, authors=frozenset({99})) as (told, _):
        assert isinstance(await anext(told), Welcomed)
        edge.feed.publish(1)
        assert isinstance(await anext(told), Moved)


async def test_who_loses_an_edge_says_so_and_is_back_at_the_other_one() -> None:
    async with serving() as other, serving() as edge, connected(edge, other) as (told, _):
        assert isinstance(await anext(told), Welcomed)
        await edge.server.drain(0.1)
        assert isinstance(await anext(told), Lost)
        welcomed = await anext(told)
        assert isinstance(welcomed, Welcomed)
        assert welcomed.is_recovered
        assert len(other.hub) == 1


@virtual
async def test_in_the_end_it_waits_no_more_than_it_must() -> None:
    web, transport = Web(), Feeds(["127.0.0.1:1"])
    welcome = {"action": "welcome", "payload": {"recovered": True, "cursor": "c0"}}
    async with client.connect("http://edges.example/", session=cast("aiohttp.ClientSession", web)) as feed:
        told = FeedConnection(feed, cast("aiohttp.TCPConnector", None), transport).told()
        telling = asyncio.ensure_future(anext(told))
        await asyncio.sleep(0.1)
        web.socket.end(4001, "retry_after=1000")
        await asyncio.sleep(1)
        # Where it has never been there it is in a hurry, too.
        assert len(web.sockets) == 2
        web.socket.say(welcome)
        assert await telling == Welcomed("c0", is_recovered=True)
        web.socket.end(4001, "retry_after=1000")
        assert await anext(told) == Lost()
        telling = asyncio.ensure_future(anext(told))
        await asyncio.sleep(100)
        assert len(web.sockets) == 2
        transport.settle()
        await asyncio.sleep(0.1)
        while len(web.sockets) == 2:
            # It looks at the clock on the wall for that.
            await asyncio.sleep(0.05)
            time.sleep(0.05)  # noqa: ASYNC251 - on a virtual loop nobody else waits
        web.socket.say(welcome)
        assert await telling == Welcomed("c0", is_recovered=True)


async def test_it_can_be_gone_without_a_word() -> None:
    async with serving() as edge, connected(edge) as (told, connection):
        assert isinstance(await anext(told), Welcomed)
        connection.abort()
        while len(edge.hub):
            await asyncio.sleep(0.01)


async def test_what_is_refused_for_good_is_a_breach() -> None:
    async with serving() as edge:
        transport = Feeds([f"127.0.0.1:{edge.port}"])
        # More than a URL holds.
        many = frozenset(range(1_000_000, 1_001_100))
        async with transport.connect(f"127.0.0.1:{edge.port}", None, many) as connection:
            with pytest.raises(Breach, match="4500"):
                await anext(connection.told())
