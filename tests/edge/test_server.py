"""The server with real clients on loopback; only the feed is a double."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from edge import entrance
from edge.addresses import parse_networks
from edge.cursors import before
from edge.entrance import Gate
from edge.hub import Hub
from edge.log import Log
from edge.page import live_page
from edge.server import Server
from edge.telemetry import Metrics
from streams.contract import Offset
from tests.edge.feed import record
from tests.edge.listening import RULES, gate, listening

MAX_MESSAGE_BYTES = 65536


class MemoryFeed:
    """A feed that this process writes itself; its ``pending`` records are not read yet."""

    def __init__(self, log: Log, hub: Hub) -> None:
        self.log = log
        self.hub = hub
        self.trouble: str | None = None
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

    def __init__(self, join_seconds: float = 5, through: Gate | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.gate = through or gate()
        self.log = Log(limit=1 << 20, reach=1000)
        self.log.begin(Offset(0), Offset(0))
        self.hub = Hub(self.log, write_bytes=1 << 16, clock=self.loop.time, soon=self.loop.call_soon)
        self.feed = MemoryFeed(self.log, self.hub)
        self.server = Server(
            log=self.log,
            hub=self.hub,
            feed=self.feed,
            page=live_page(),
            registry=Metrics(self.log, self.hub, self.feed, self.gate).registry(),
            join_seconds=join_seconds,
            max_message_bytes=MAX_MESSAGE_BYTES,
        )
        self.port = 0

    def connect(self, query: str = "", *offered: str, forwarded_for: str | None = None) -> connect:
        """Connect a client, through a proxy if it was forwarded for somebody."""
        return connect(
            f"ws://127.0.0.1:{self.port}/{query}",
            subprotocols=[Subprotocol(one) for one in offered] or None,
            compression=None,
            additional_headers=None if forwarded_for is None else {"X-Forwarded-For": forwarded_for},
        )

    async def get(self, path: str) -> tuple[int, str, Any]:
        """Ask as a browser does."""
        async with aiohttp.ClientSession() as browser, browser.get(f"http://127.0.0.1:{self.port}{path}") as response:
            return response.status, await response.text(), response.headers


@asynccontextmanager
async def serving(join_seconds: float = 5, through: Gate | None = None) -> AsyncIterator[Edge]:
    """Serve meanwhile."""
    edge = Edge(join_seconds, through)
    async with listening(edge.server.application(), edge.gate) as edge.port, asyncio.timeout(5):
        yield edge
        edge.server.stop()
        await edge.hub.deserted.wait()


async def posts(client: ClientConnection, count: int) -> list[int]:
    """Receive some posts."""
    return [json.loads(await client.recv())["payload"]["id"] for _ in range(count)]


async def refusal(edge: Edge, query: str = "", forwarded_for: str | None = None) -> tuple[int, str, str | None]:
    """Be refused: status, sentence and when to try again."""
    with pytest.raises(InvalidStatus) as raised:
        async with edge.connect(query, forwarded_for=forwarded_for):
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
    """1002: a client's frame must be masked (RFC 6455 §5.1), and reserved bits are zero."""
    async with serving() as edge, edge.connect() as client:
        client.transport.write(b"\xf1\x80abcd")
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1002


async def test_shutdown_says_goodbye_to_all() -> None:
    """1001 to everybody, and ready for nobody."""
    async with serving() as edge, edge.connect() as one, edge.connect("?history=0") as other:
        edge.server.stop()
        assert (await edge.get("/readyz"))[:2] == (503, "The server is shutting down.\n")
        await one.wait_closed()
        await other.wait_closed()
        assert (one.close_code, other.close_code) == (1001, 1001)
        await edge.hub.deserted.wait()
        assert edge.hub.closes == {1001: 2}


async def test_who_comes_during_the_shutdown_is_told_too() -> None:
    """Its upgrade was under way when the others were told."""
    async with serving() as edge:
        edge.server.stop()
        async with edge.connect() as client:
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
        plain.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        plain.close()
        assert (await edge.get("/livez"))[0] == 200
        edge.feed.catch_up()
        assert (await edge.get("/livez"))[0] == 200
        assert len(edge.hub) == 0


async def test_above_the_limit_is_503_and_probes_are_answered() -> None:
    """With the time after which to try again; who leaves makes room."""
    async with serving(through=gate(total=1)) as edge:
        async with edge.connect():
            sentence = "The server has as many connections as it takes. Try again.\n"
            assert await refusal(edge) == (503, sentence, "1")
            assert (await edge.get("/livez"))[0] == 200
        await edge.hub.deserted.wait()
        while edge.gate.census.connections:
            await asyncio.sleep(0)
        async with edge.connect() as client:
            edge.feed.publish(1)
            assert await posts(client, 1) == [1]
            # Two clients and this request.
            _, text, _ = await edge.get("/metrics")
        assert {'edge_limited_total{limit="connections"} 3.0', "edge_sockets_limit 1.0"} <= set(text.splitlines())


CROWDED = (429, "There are too many connections from your address. Close one first.\n", "10")


async def test_above_an_addresss_limit_is_429() -> None:
    """The address is the peer's, whatever the client says."""
    async with serving(through=gate(per_address=1)) as edge, edge.connect():
        assert await refusal(edge, forwarded_for="192.0.2.1") == CROWDED


async def test_behind_a_trusted_proxy_each_client_has_its_own_limit() -> None:
    """And the proxy none: what it says of its clients counts."""
    rules = replace(RULES, trusted=parse_networks("127.0.0.0/8"))
    with structlog.testing.capture_logs() as logged:
        async with (
            serving(through=gate(rules, per_address=1)) as edge,
            edge.connect(forwarded_for="192.0.2.1"),
            edge.connect(forwarded_for="192.0.2.2"),
        ):
            assert await refusal(edge, forwarded_for="203.0.113.1, 192.0.2.1, 127.0.0.2") == CROWDED
    assert [each["peer"] for each in logged if each["event"] == "session.opened"] == ["192.0.2.1", "192.0.2.2"]


async def test_who_sends_too_much_is_closed_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """1008 with the reason, in the log and the metrics; the others get their posts."""
    monkeypatch.setattr(entrance, "LINGER_SECONDS", 0.05)
    async with serving() as edge, edge.connect() as other, edge.connect() as client:
        for _ in range(101):
            await client.send("x")
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (1008, "too many messages a second")
        edge.feed.publish(1)
        assert await posts(other, 1) == [1]
        _, text, _ = await edge.get("/metrics")
        assert {'edge_limited_total{limit="messages"} 1.0', 'edge_closes_total{code="1008"} 1.0'} <= set(
            text.splitlines()
        )
