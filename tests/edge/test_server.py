"""The server with real clients on loopback; only the feed is a double."""

import asyncio
import gc
import json
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import structlog
from websockets.exceptions import ConnectionClosed, InvalidStatus

from edge.access.addresses import parse_networks
from edge.access.entrance import Entrance
from edge.access.http import Http
from edge.clients import websocket
from edge.clients.websocket import WebSocket
from edge.fanout.deadlines import Patience
from edge.fanout.ending import End
from edge.fanout.session import Session
from edge.feed.position import before
from edge.page import File, live_page
from edge.wire.websocket import Reader
from streams.contract import Offset
from tests.edge.kit.edge import MAX_MESSAGE_BYTES, Edge, posts, serving
from tests.edge.kit.listening import RULES, gate
from tests.edge.kit.pair import connecting
from tests.edge.kit.records import record, standing
from tests.strict import Handshake


async def refusal(
    edge: Edge, query: str = "", offers: Sequence[str] = (), forwarded_for: str | None = None
) -> tuple[int, str, str | None]:
    """Be refused: status, sentence and when to try again."""
    with pytest.raises(InvalidStatus) as raised:
        async with edge.connect(query, offers=offers, forwarded_for=forwarded_for):
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
            assert (welcome["action"], standing(welcome["payload"])) == (
                "welcome",
                {"recovered": True, "cursor": str(before(Offset(0)))},
            )
        async with edge.connect(f"?cursor={second['cursor']}") as client:
            edge.feed.publish(4)
            assert json.loads(await client.recv())["payload"]["recovered"] is True
            assert await posts(client, 2) == [3, 4]
        async with edge.connect("?history=2") as client:
            await client.recv()
            assert await posts(client, 2) == [3, 4]


async def test_who_offers_compression_gets_compressed_posts() -> None:
    """The same messages, once compressed for all; who joins in the middle of a record reads it too."""
    async with serving() as edge:
        async with (
            edge.connect("?history=0", compression="deflate") as one,
            edge.connect(compression="deflate") as other,
            edge.connect() as plain,
        ):
            edge.feed.publish(*range(1, 40))
            first = [json.loads(await one.recv()) for _ in range(40)]
            assert await posts(other, 39) == await posts(plain, 39) == list(range(1, 40))
        assert [each.response and each.response.headers.get("Sec-WebSocket-Extensions") for each in (one, plain)] == [
            "permessage-deflate; client_no_context_takeover",
            None,
        ]
        async with edge.connect(f"?cursor={first[20]['cursor']}", compression="deflate") as resumed:
            edge.feed.publish(*range(40, 60))
            await resumed.recv()
            assert await posts(resumed, 39) == list(range(21, 60))
            await resumed.send("x" * 10_000)
            edge.feed.publish(60)
            assert await posts(resumed, 1) == [60]


async def test_compression_can_be_switched_off() -> None:
    """Then it is not agreed to, and nothing is asked about what a client offers."""
    async with serving(compression=False) as edge, edge.connect(compression="deflate") as client:
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers
        edge.feed.publish(1, 2, 3)
        assert await posts(client, 3) == [1, 2, 3]


async def test_an_offer_that_cannot_be_read_is_refused() -> None:
    """RFC 6455 §9.1: before the 101, with a sentence."""
    async with serving() as edge:
        sentence = "The header Sec-WebSocket-Extensions cannot be read.\n"
        assert await refusal(edge, offers=["permessage-deflate; =1"]) == (400, sentence, None)


async def test_several_headers_are_one_list_of_offers() -> None:
    """RFC 6455 §9.1; the first offer that can be accepted is."""
    offers = ["permessage-deflate; server_no_context_takeover", "permessage-deflate; server_max_window_bits=15"]
    async with serving() as edge:
        plain = socket.create_connection(("127.0.0.1", edge.port))
        plain.setblocking(False)
        headers = "".join(f"Sec-WebSocket-Extensions: {offer}\r\n" for offer in offers)
        await edge.loop.sock_sendall(
            plain, Handshake().request.replace(b"\r\n\r\n", b"\r\n" + headers.encode() + b"\r\n")
        )
        head = await edge.loop.sock_recv(plain, 1 << 16)
        plain.close()
    answer = "permessage-deflate; client_no_context_takeover; server_max_window_bits=15"
    assert f"\r\nSec-WebSocket-Extensions: {answer}\r\n".encode() in head


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


async def test_a_cursor_beyond_what_one_broker_knows_is_no_gap() -> None:
    """Law 13: that broker was deposed. The edge waits for what the others know of, and says 503 when that is long."""
    async with serving() as ahead, serving(join_seconds=0.2) as behind:
        async with ahead.connect("?history=0") as client:
            ahead.feed.publish(1, 2)
            cursor = [json.loads(await client.recv()) for _ in range(2)][1]["cursor"]
        behind.feed.unseen = 1
        assert await refusal(behind, f"?cursor={cursor}") == (503, "The feed cannot be followed now. Try again.\n", "1")
        behind.feed.asked.clear()
        joining = asyncio.create_task(behind.connect(f"?cursor={cursor}").__aenter__())
        await behind.feed.asked.wait()
        behind.feed.pending.append(record(1, 2))
        behind.feed.catch_up()
        client = await joining
        assert json.loads(await client.recv())["payload"]["recovered"] is True
        assert await posts(client, 1) == [2]
        await client.close()


async def test_without_a_majority_nothing_is_said_of_a_cursor_that_is_ahead() -> None:
    """Law 13: 503, and the client keeps its cursor; who is not ahead is let in all the same."""
    async with serving() as edge:
        edge.feed.publish(1)
        edge.feed.confirms = False
        sentence = "The feed cannot be followed now. Try again.\n"
        assert await refusal(edge, f"?cursor={before(Offset(9))}") == (503, sentence, "1")
        async with edge.connect(f"?cursor={before(Offset(1))}") as client:
            assert json.loads(await client.recv())["payload"]["recovered"] is True


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
        assert edge.closes == {("server", "1009"): 1}


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
        assert edge.closes == {("server", "1001"): 2}


async def test_a_drain_is_spread_and_whoever_is_still_there_gets_posts() -> None:
    """They come back elsewhere, and not all at once; the last ones are told in time."""
    async with serving() as edge, AsyncExitStack() as connected:
        clients = [await connected.enter_async_context(edge.connect()) for _ in range(100)]
        draining = asyncio.create_task(edge.server.drain(5))
        while edge.closes.total() < 10:
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


async def test_all_that_are_left_when_there_is_no_time_are_told() -> None:
    """And cut at once: the process ends."""
    async with serving() as edge, edge.connect() as client:
        await edge.server.drain(0)
        edge.hub.cut_some()
        await client.wait_closed()
        assert client.close_code == 1001
        assert (len(edge.hub), edge.closes) == (0, {("server", "1001"): 1})


async def test_a_connection_of_an_age_is_told_to_come_again() -> None:
    """1001 to plain clients and to those with cursors, each at its own time."""
    async with serving(patience=Patience(ping=20, dead=60, stalled=600, age=0.2)) as edge, edge.connect() as one:
        begun = edge.loop.time()
        await one.wait_closed()
        assert edge.loop.time() - begun >= 0.15
        async with edge.connect("?history=0") as other:
            assert await other.recv()
            await other.wait_closed()
            assert (one.close_code, other.close_code) == (1001, 1001)
        assert edge.closes == {("server", "1001"): 2}


async def test_nobody_is_let_in_during_the_shutdown() -> None:
    """Another edge takes who comes now."""
    async with serving() as edge:
        await edge.server.drain(0)
        assert await refusal(edge) == (503, "The server is shutting down.\n", "1")


async def test_who_waits_for_the_feeds_end_as_the_shutdown_begins_is_refused() -> None:
    """Another edge takes it; nothing is awaited between the last look and the 101."""
    async with serving() as edge:
        edge.feed.pending.append(record(1))
        refused = asyncio.create_task(refusal(edge))
        await edge.feed.asked.wait()
        await edge.server.drain(0)
        edge.feed.catch_up()
        assert await refused == (503, "The server is shutting down.\n", "1")


def _kept() -> int:
    parts = (asyncio.Transport, Entrance, Http, Reader, Session, WebSocket)
    return sum(issubclass(type(each), parts) for each in gc.get_objects())


@pytest.mark.parametrize("ending", ["client closes", "client cuts", "client breaks a limit", "server closes"])
async def test_what_an_ended_client_consisted_of_is_freed_without_the_collector(
    ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector would have to go through all that lives to find it, and it hardly ever does."""
    monkeypatch.setattr(websocket, "LINGER_SECONDS", 0.01)
    gc.collect()
    gc.disable()
    try:
        earlier = _kept()
        async with serving() as edge:
            tasks = len(asyncio.all_tasks())
            with socket.create_connection(("127.0.0.1", edge.port)) as plain:
                plain.setblocking(False)
                await edge.loop.sock_sendall(plain, Handshake().request)
                while b"\r\n\r\n" not in await edge.loop.sock_recv(plain, 1 << 16):
                    pass
                while not len(edge.hub):
                    await asyncio.sleep(0)
                # The transport, its protocol, what that reads, and the session: nothing of HTTP, and no task.
                assert _kept() == earlier + 4
                assert len(asyncio.all_tasks()) == tasks
                match ending:
                    case "client closes":
                        await edge.loop.sock_sendall(plain, b"\x88\x82\0\0\0\0\x03\xe8")
                    case "client cuts":
                        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        plain.close()
                    case "client breaks a limit":
                        await edge.loop.sock_sendall(plain, b"\x89\x80\0\0\0\0" * 1000)
                    case "server closes":
                        edge.hub.end_all(End.SHUTDOWN, 0)
                        await edge.loop.sock_sendall(plain, b"\x88\x82\0\0\0\0\x03\xe9")
                # Until then; the test's timeout is the limit.
                while _kept() > earlier:
                    await asyncio.sleep(0)
    finally:
        gc.enable()


async def test_answers_are_counted_by_status() -> None:
    """Whoever gives them: the routes, aiohttp, and what stands before it. What nobody gets is none."""
    rules = replace(RULES, head_bytes=512, handshake_seconds=0.05)
    async with serving(through=gate(rules)) as edge:
        for path in ("/", "/nothing", "/livez"):
            await edge.get(path)
        edge.feed.trouble = "It is away."
        assert (await refusal(edge))[0] == 503
        assert (await refusal(edge, "?history=x"))[0] == 400
        for request in (b"junk\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + bytes(600), b"GET / HTTP/1.1\r\n"):
            async with connecting(edge) as peer:
                await peer.send(request)
                await peer.read_all()
        before = {"200": 2, "404": 1, "503": 1, "400": 2, "431": 1, "408": 1}
        assert edge.gate.answers.counts == before
        # A request that was too large is not late, too.
        assert edge.gate.limited == {"head": 1, "handshake": 1}
        edge.feed.trouble = None
        async with edge.connect():
            pass
        assert edge.gate.answers.counts == before | {"101": 1}
        assert (edge.gate.takeovers, edge.gate.join_seconds.buckets[-1]) == (1, ("+Inf", 1.0))


@pytest.mark.parametrize(("path", "file"), live_page().items(), ids=live_page())
async def test_a_browser_gets_the_page(path: str, file: File) -> None:
    """File by file, with a policy that lets nothing run but the page itself."""
    async with serving() as edge:
        status, text, headers = await edge.get(path)
        assert (status, text, headers["Content-Type"]) == (200, file.body.decode(), f"{file.media_type}; charset=utf-8")
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Cache-Control"] == "no-cache"


async def test_a_browser_that_has_the_page_is_not_sent_it_again() -> None:
    async with serving() as edge:
        etag = (await edge.get("/"))[2]["ETag"]
        for known, status in ((f'"else", {etag}', 304), ('"else"', 200), ("*", 304)):
            answer, text, headers = await edge.get("/", {"If-None-Match": known})
            assert (answer, headers["ETag"], bool(text)) == (status, etag, status == 200)
        assert edge.gate.answers.counts == {"200": 2, "304": 2}


async def test_the_page_is_told_about_the_edge() -> None:
    async with serving() as edge, edge.connect():
        status, text, headers = await edge.get("/status.json")
        told = json.loads(text)
        assert (status, headers["Content-Type"], headers["Cache-Control"]) == (
            200,
            "application/json",
            "max-age=1",
        )
        assert abs(told.pop("time") - 1000 * time.time()) < 5000
        assert told == {
            "version": "0", "viewers": 1, "posts_per_second": 0.0, "window_seconds": 5.0, "compose_url": None
        }  # fmt: skip


async def test_there_is_nothing_beside_the_page() -> None:
    async with serving() as edge:
        assert [(await edge.get(path))[0] for path in ("/nothing", "/page/", "/page/page.html")] == [404, 404, 404]


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


async def test_a_client_that_goes_while_it_waits_is_nobodys_error(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is logged, and nobody is left behind, whether the edge has seen that it went or not."""
    async with serving() as edge:
        for seen in (True, False):
            edge.feed.asked.clear()
            edge.feed.pending.append(record(1))
            plain = socket.create_connection(("127.0.0.1", edge.port))
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            plain.sendall(Handshake().request)
            await edge.feed.asked.wait()
            plain.close()
            while seen and edge.gate.census.connections:
                await asyncio.sleep(0)
            edge.feed.catch_up()
            while edge.gate.census.connections:
                await asyncio.sleep(0)
        assert len(edge.hub) == 0
    assert caplog.records == []


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
        assert {'postcast_edge_limited_total{limit="connections"} 3.0', "postcast_edge_sockets_limit 1.0"} <= set(
            text.splitlines()
        )


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


async def test_connections_of_a_trusted_proxy_are_not_its_own_before_anything_was_asked() -> None:
    """Two are open, neither has said for whom: each is somebody else's in the end."""
    rules = replace(RULES, trusted=parse_networks("127.0.0.0/8"))
    async with serving(through=gate(rules, per_address=1)) as edge, connecting(edge) as one, connecting(edge) as other:
        while edge.gate.census.connections < 2:
            await asyncio.sleep(0)
        for number, peer in enumerate((one, other), 1):
            head = Handshake().request.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n" % number)
            await peer.send(head)
            assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(("total", "per_address", "status"), [(1, 0, b"503"), (100, 1, b"429")])
async def test_a_connection_of_which_there_are_too_many_is_closed_by_the_server(
    total: int, per_address: int, status: bytes
) -> None:
    """It holds a place until it is gone; the answer says that it will be."""
    through = gate(total=total, per_address=per_address)
    async with serving(through=through) as edge, edge.connect(), connecting(edge) as peer:
        await peer.send(Handshake().request)
        head = await peer.read_head()
        assert head.startswith(b"HTTP/1.1 %b " % status)
        assert b"\r\nConnection: close\r\n" in head
        assert (await peer.read_all()).endswith(b".\n")


async def test_a_trusted_proxy_that_says_nothing_has_no_limit_of_its_own() -> None:
    """Nor one that says only who it is, or that it does not know."""
    rules = replace(RULES, trusted=parse_networks("127.0.0.0/8"))
    async with (
        serving(through=gate(rules, per_address=1)) as edge,
        edge.connect(),
        edge.connect(forwarded_for="unknown"),
        edge.connect(forwarded_for="127.0.0.3"),
        edge.connect(),
    ):
        assert edge.gate.limited == {}


async def test_who_sends_too_much_is_closed_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """1008 with the reason, in the log and the metrics; the others get their posts."""
    monkeypatch.setattr(websocket, "LINGER_SECONDS", 0.05)
    async with serving() as edge, edge.connect() as other, edge.connect() as client:
        for _ in range(101):
            await client.send("x")
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (1008, "too many messages a second")
        edge.feed.publish(1)
        assert await posts(other, 1) == [1]
        _, text, _ = await edge.get("/metrics")
        assert {
            'postcast_edge_limited_total{limit="messages"} 1.0',
            'postcast_edge_closes_total{by="server",code="1008"} 1.0',
        } <= set(text.splitlines())
