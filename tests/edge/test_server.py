"""The server with real clients on loopback; only the feed is a double."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from edge.cursors import before
from edge.hub import Hub
from edge.log import Log
from edge.page import live_page
from edge.server import MAX_MESSAGE_BYTES, Server
from edge.telemetry import Metrics
from streams.contract import Offset
from tests.edge.feed import record
from tests.edge.listening import listening
from tests.strict import Handshake, StrictConnection


class MemoryFeed:
    """A feed that this process writes itself; its ``pending`` records are not read yet."""

    def __init__(self, log: Log, hub: Hub) -> None:
        self.log = log
        self.hub = hub
        self.trouble: str | None = None
        self.unready: str | None = None
        self.records = self.repeats = self.undecodable = 0
        self.pending: list[bytes] = []
        self.asked = asyncio.Event()
        self.read = asyncio.Event()

    def publish(self, *posts: int) -> None:
        """Write a record that is read at once."""
        assert self.log.next_offset is not None
        self.log.append(self.log.next_offset, record(*posts))
        self.hub.publish()

    def catch_up(self) -> None:
        """Read what is pending."""
        for value in self.pending:
            assert self.log.next_offset is not None
            self.log.append(self.log.next_offset, value)
        self.pending.clear()
        self.hub.publish()
        self.read.set()

    async def end(self) -> Offset | None:
        """Say where it ends, pending records included."""
        self.asked.set()
        if self.trouble is not None or self.log.next_offset is None:
            return None
        return Offset(self.log.next_offset + len(self.pending))

    async def reached(self, offset: Offset) -> None:
        """Wait until it was caught up with."""
        while self.log.next_offset is None or self.log.next_offset < offset:
            self.read.clear()
            await self.read.wait()


class Edge:
    """An edge without Kafka."""

    def __init__(self, join_seconds: float = 5, server: type[Server] = Server) -> None:
        self.loop = asyncio.get_running_loop()
        self.log = Log(limit=1 << 20, reach=1000)
        self.log.begin(Offset(0), Offset(0))
        self.hub = Hub(self.log, write_bytes=1 << 16, clock=self.loop.time, soon=self.loop.call_soon)
        self.feed = MemoryFeed(self.log, self.hub)
        self.server = server(
            log=self.log,
            hub=self.hub,
            feed=self.feed,
            page=live_page(),
            registry=Metrics(self.log, self.hub, self.feed).registry(),
            join_seconds=join_seconds,
        )
        self.port = 0

    def connect(self, query: str = "", *offered: str) -> connect:
        """Connect a client."""
        return connect(
            f"ws://127.0.0.1:{self.port}/{query}",
            subprotocols=[Subprotocol(one) for one in offered] or None,
            compression=None,
            create_connection=StrictConnection,
        )

    async def get(self, path: str) -> tuple[int, str, Any]:
        """Ask as a browser does."""
        async with aiohttp.ClientSession() as browser, browser.get(f"http://127.0.0.1:{self.port}{path}") as response:
            return response.status, await response.text(), response.headers


@asynccontextmanager
async def serving(join_seconds: float = 5) -> AsyncIterator[Edge]:
    """Serve meanwhile."""
    edge = Edge(join_seconds)
    async with listening(edge.server.application()) as edge.port, asyncio.timeout(5):
        yield edge
        await edge.server.drain(5)


async def posts(client: ClientConnection, count: int) -> list[int]:
    """Receive some posts."""
    return [json.loads(await client.recv())["payload"]["id"] for _ in range(count)]


async def refusal(edge: Edge, query: str = "") -> tuple[int, str, str | None]:
    """Be refused: status, sentence and when to try again."""
    with pytest.raises(InvalidStatus) as raised:
        async with edge.connect(query):
            pass
    response = raised.value.response
    return response.status_code, bytes(response.body or b"").decode(), response.headers.get("Retry-After")


async def test_a_plain_client_gets_posts_and_nothing_else() -> None:
    """As the replaced service served it: no history, no greeting, no subprotocol, no cursor."""
    async with serving() as edge:
        edge.feed.publish(1)
        async with edge.connect("", "chat") as client:
            edge.feed.publish(2)
            assert await client.recv() == '{"action":"created","payload":{"id":2}}'
            assert client.subprotocol is None


async def test_who_asks_for_more_is_greeted_and_gets_cursors() -> None:
    """And can go on from any of them, with a second connection, while the feed goes on too."""
    async with serving() as edge:
        async with edge.connect("", "postcast.v1") as client:
            edge.feed.publish(1, 2, 3)
            welcome, _, second, _ = [json.loads(await client.recv()) for _ in range(4)]
            assert client.subprotocol == "postcast.v1"
            assert welcome == {"action": "welcome", "payload": {"recovered": True, "cursor": str(before(Offset(0)))}}
        async with edge.connect(f"?cursor={second['cursor']}") as client:
            edge.feed.publish(4)
            assert json.loads(await client.recv())["payload"]["recovered"] is True
            assert await posts(client, 2) == [3, 4]
        async with edge.connect("?history=2") as client:
            await client.recv()
            assert await posts(client, 2) == [3, 4]


@pytest.mark.parametrize(
    ("query", "reason"), [("?cursor=junk", "invalid"), (f"?cursor={before(Offset(9))}", "unknown")]
)
async def test_a_cursor_that_leads_nowhere_is_said(query: str, reason: str) -> None:
    """Law 12: and the feed goes on from now."""
    async with serving() as edge:
        edge.feed.publish(1)
        async with edge.connect(query) as client:
            payload = json.loads(await client.recv())["payload"]
            assert (payload["recovered"], payload["reason"]) == (False, reason)
            edge.feed.publish(2)
            assert await posts(client, 1) == [2]


async def test_a_client_starts_at_the_end_that_kafka_knows() -> None:
    """Law 9: what was in the feed when it connected is not shown to it, also when the log is late."""
    async with serving() as edge:
        edge.feed.pending.append(record(1))
        joining = asyncio.create_task(edge.connect().__aenter__())
        await edge.feed.asked.wait()
        edge.feed.pending.append(record(2))
        edge.feed.catch_up()
        client = await joining
        edge.feed.publish(3)
        assert await posts(client, 2) == [2, 3]
        await client.close()


async def test_a_cursor_from_an_edge_that_is_ahead_is_waited_for() -> None:
    """Kafka says that the record exists, so this edge will have read it in a moment."""
    async with serving() as ahead, serving() as behind:
        async with ahead.connect("?history=0") as client:
            ahead.feed.publish(1, 2)
            cursor = [json.loads(await client.recv()) for _ in range(2)][1]["cursor"]
        behind.feed.pending.append(record(1, 2))
        joining = asyncio.create_task(behind.connect(f"?cursor={cursor}").__aenter__())
        await behind.feed.asked.wait()
        behind.feed.catch_up()
        client = await joining
        assert json.loads(await client.recv())["payload"]["recovered"] is True
        assert await posts(client, 1) == [2]
        await client.close()


async def test_nobody_joins_while_kafka_cannot_say_where_the_feed_ends() -> None:
    """Law 9: 503 and when to try again; who has a cursor that the log knows is served all the same."""
    async with serving() as edge:
        edge.feed.publish(1)
        edge.feed.trouble = "Kafka does not answer."
        assert (await edge.get("/readyz"))[:2] == (200, "Kafka does not answer.\n")
        edge.feed.unready = "Kafka does not answer."
        sentence = "The feed cannot be followed now. Kafka does not answer.\n"
        assert await refusal(edge) == (503, sentence, "1")
        assert (await edge.get("/readyz"))[:2] == (503, "Kafka does not answer.\n")
        async with edge.connect(f"?cursor={before(Offset(0))}") as client:
            await client.recv()
            assert await posts(client, 1) == [1]


async def test_nobody_waits_for_long() -> None:
    """A log that does not get to the feed's end in time is a reason to try elsewhere."""
    async with serving(join_seconds=0.01) as edge:
        edge.feed.pending.append(record(1))
        assert await refusal(edge) == (503, "The feed cannot be followed now. Try again.\n", "1")


async def test_a_wish_that_makes_no_sense_is_refused() -> None:
    """Before the 101, with a sentence."""
    async with serving() as edge:
        assert await refusal(edge, "?history=x") == (400, "The history is a number of posts, such as 20.\n", None)


async def test_what_clients_send_is_read_and_ignored() -> None:
    """Text, bytes and pings; the next post comes as if nothing had been."""
    async with serving() as edge, edge.connect() as client:
        await client.send("hello")
        await client.send(b"\x00" * MAX_MESSAGE_BYTES)
        await (await client.ping())
        edge.feed.publish(1)
        assert await posts(client, 1) == [1]


async def test_a_message_that_is_too_large_ends_the_session() -> None:
    """1009, and the hub has forgotten the client."""
    async with serving() as edge, edge.connect() as client:
        await client.send("x" * (MAX_MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1009
        await edge.hub.deserted.wait()
        assert edge.hub.closes == {1009: 1}


async def test_a_broken_frame_ends_the_session() -> None:
    """1002: reserved bits are zero (RFC 6455 §5.2)."""
    async with serving() as edge, edge.connect() as client:
        client.transport.write(b"\xf1\x80abcd")
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1002


async def test_shutdown_says_goodbye_to_all() -> None:
    """1001 to everybody, and ready for nobody."""
    async with serving() as edge, edge.connect() as one, edge.connect("?history=0") as other:
        draining = asyncio.create_task(edge.server.drain(5))
        await asyncio.sleep(0)
        assert (await edge.get("/readyz"))[:2] == (503, "The server is shutting down.\n")
        await one.wait_closed()
        await other.wait_closed()
        assert (one.close_code, other.close_code) == (1001, 1001)
        await draining
        assert edge.hub.closes == {1001: 2}


async def test_a_drain_is_spread_and_whoever_is_still_there_gets_posts() -> None:
    """They come back elsewhere, and not all at once; the last ones are told in time."""
    async with serving() as edge, AsyncExitStack() as connected:
        clients = [await connected.enter_async_context(edge.connect()) for _ in range(100)]
        draining = asyncio.create_task(edge.server.drain(5))
        while edge.hub.closes.total() < 10:
            await asyncio.sleep(0.001)
        edge.feed.publish(1)
        await draining
        got = [[message async for message in client] for client in clients]
        assert {client.close_code for client in clients} == {1001}
        assert {len(messages) for messages in got} == {0, 1}


async def test_a_drain_ends_in_its_time() -> None:
    """Whoever is still there then was told, and is cut off with the process."""
    async with serving() as edge, edge.connect() as client:
        await edge.server.drain(0)
        assert len(edge.hub) == 1
        await client.wait_closed()
        assert client.close_code == 1001


async def test_nobody_is_let_in_during_the_shutdown() -> None:
    """Another edge takes who comes now."""
    async with serving() as edge:
        await edge.server.drain(0)
        assert await refusal(edge) == (503, "The server is shutting down.\n", "1")


async def test_who_is_let_in_as_the_shutdown_begins_is_told() -> None:
    """Its 101 was under way when the others were told."""
    edge = Edge()
    application = edge.server.application()

    async def begin(_: web.Request, __: web.StreamResponse) -> None:
        await edge.server.drain(0)

    application.on_response_prepare.append(begin)
    async with listening(application) as edge.port, asyncio.timeout(5), edge.connect() as client:
        await client.wait_closed()
        assert client.close_code == 1001


async def test_health_and_metrics() -> None:
    """Ready when the feed is followed to its end; what was sent is counted."""
    async with serving() as edge, edge.connect() as client:
        edge.feed.publish(1, 2)
        await posts(client, 2)
        assert (await edge.get("/livez"))[0] == 200
        assert (await edge.get("/readyz"))[:2] == (200, "The feed is followed to its end.\n")
        status, text, headers = await edge.get("/metrics")
        assert (status, headers["Content-Type"].split(";")[0]) == (200, "text/plain")
        assert {"edge_connections 1.0", "edge_posts_sent_total 2.0", "edge_lagging 0.0"} <= set(text.splitlines())


async def test_a_browser_gets_the_page() -> None:
    """With a policy that lets nothing run but the page itself; any other method or path is refused."""
    async with serving() as edge:
        status, text, headers = await edge.get("/")
        assert (status, text) == (200, live_page().body.decode())
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert (await edge.get("/nothing"))[0] == 404


async def test_a_client_that_is_gone_before_its_101_leaves_nothing() -> None:
    """It waited for the feed, and went away."""
    async with serving() as edge:
        edge.feed.pending.append(record(1))
        plain = socket.create_connection(("127.0.0.1", edge.port))
        plain.sendall(Handshake().request)
        plain.close()
        assert (await edge.get("/livez"))[0] == 200
        edge.feed.catch_up()
        assert (await edge.get("/livez"))[0] == 200
        assert len(edge.hub) == 0


async def test_a_client_that_goes_while_its_101_is_written_is_nobodys_error(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is logged, and nobody is left behind."""
    edge, tried = Edge(), asyncio.Event()
    application = edge.server.application()

    async def cut(request: web.Request, _: web.StreamResponse) -> None:
        assert request.transport is not None
        request.transport.abort()
        tried.set()

    application.on_response_prepare.append(cut)
    async with listening(application) as edge.port, asyncio.timeout(5):
        with pytest.raises((ConnectionResetError, InvalidMessage)):
            async with edge.connect():
                pass
        await tried.wait()
    assert [entry.message for entry in caplog.records if entry.name == "aiohttp.server"] == []
    assert len(edge.hub) == 0
