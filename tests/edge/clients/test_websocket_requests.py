"""WebSockets from the request on, with real clients on loopback; only the feed is a double."""

import asyncio
import json
import socket
import struct
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import pytest
from websockets.exceptions import ConnectionClosed

from edge.access import entrance
from edge.access.addresses import parse_networks
from edge.access.entrance import Entrance
from edge.access.http import Http
from edge.clients import websocket
from edge.clients.websocket import WebSocket
from edge.fanout.deadlines import Patience
from edge.fanout.ending import End
from edge.fanout.session import Session
from edge.feed.position import before
from edge.wire.websocket import Reader
from streams.contract import Offset
from tests.edge.kit.edge import MAX_MESSAGE_BYTES, Edge, posts, serving
from tests.edge.kit.kept import without_the_collector
from tests.edge.kit.listening import RULES, gate
from tests.edge.kit.records import publication, record, standing
from tests.edge.kit.refused import refusal
from tests.strict import Handshake


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


PARTS = (asyncio.Transport, Entrance, Http, Reader, Session, WebSocket)


@pytest.mark.parametrize("ending", ["client closes", "client cuts", "client breaks a limit", "server closes"])
async def test_what_an_ended_client_consisted_of_is_freed_without_the_collector(
    ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector would have to go through all that lives to find it, and it hardly ever does."""
    monkeypatch.setattr(websocket, "LINGER_SECONDS", 0.01)
    with without_the_collector(*PARTS) as kept:
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
                assert kept() == 4
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
                while kept():
                    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "sent",
    [
        Handshake("/?history=x").request.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: postcast.v1\r\n\r\n"),
        Handshake("/?history=x").request.replace(b"Connection: Upgrade", b"Connection: Upgrade, close"),
        b"GET /status.json HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + b"x" * 20_000,
    ],
    ids=["refused on its WebSocket", "refused by HTTP", "answered", "above a limit"],
)
async def test_what_other_connections_consisted_of_is_freed_as_well(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of clients that are refused there come as many as like."""
    monkeypatch.setattr(entrance, "LINGER_SECONDS", 0.01)
    with without_the_collector(*PARTS) as kept:
        async with serving() as edge:
            with socket.create_connection(("127.0.0.1", edge.port)) as plain:
                plain.setblocking(False)
                await edge.loop.sock_sendall(plain, sent)
                while await edge.loop.sock_recv(plain, 1 << 16):
                    pass
            # Until then; the test's timeout is the limit.
            while kept():
                await asyncio.sleep(0)


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


async def refused(edge: Edge, query: str = "", forwarded_for: str | None = None) -> tuple[int | None, str | None]:
    """Be refused on the WebSocket: the code and the reason. Nothing else comes."""
    async with edge.connect(query, "postcast.v1", compression="deflate", forwarded_for=forwarded_for) as client:
        assert client.response is not None
        assert client.subprotocol == "postcast.v1"
        assert "Sec-WebSocket-Extensions" not in client.response.headers
        with pytest.raises(ConnectionClosed):
            await client.recv()
        return client.close_code, client.close_reason


async def test_a_client_that_can_read_a_refusal_gets_it_on_its_websocket() -> None:
    """A browser shows neither status nor header: what would be 400 is 4500, and is not tried again."""
    async with serving() as edge:
        assert await refused(edge, "?history=x") == (4500, "The history is a number of posts, such as 20.")
        assert (await refused(edge, "?cursor=a&history=1"))[0] == 4500
        assert (await refused(edge, "?author=me"))[0] == 4500
        assert edge.around.refusals == {("websocket", "request"): 3}
        assert (await refusal(edge, "?history=x"))[0] == 400
        assert edge.around.refusals["http", "request"] == 1


async def test_a_client_that_is_refused_for_now_is_told_when_to_come_back() -> None:
    """4001 for what would be 429 and 503."""
    rules = replace(RULES, trusted=parse_networks("127.0.0.1"))
    async with serving(through=gate(rules, per_address=1)) as edge, edge.connect(forwarded_for="192.0.2.1"):
        code, reason = await refused(edge, forwarded_for="192.0.2.1")
        assert (code, reason) == (
            4001,
            "There are too many connections from your address. Close one first. retry_after=10",
        )
        edge.feed.trouble = "Kafka does not answer."
        assert await refused(edge, forwarded_for="192.0.2.2") == (
            4001,
            "The feed cannot be followed now. Kafka does not answer. retry_after=1",
        )
        assert edge.around.refusals == {("websocket", "address"): 1, ("websocket", "feed"): 1}


async def test_of_a_client_that_is_refused_on_its_websocket_nothing_is_kept() -> None:
    """Neither a slot nor a session; and one write brings it all."""
    async with serving(through=gate(total=1)) as edge:
        async with edge.connect():
            for _ in range(3):
                with socket.create_connection(("127.0.0.1", edge.port)) as plain:
                    plain.setblocking(False)
                    offer = b"Sec-WebSocket-Protocol: postcast.v1\r\n\r\n"
                    await edge.loop.sock_sendall(plain, Handshake().request.replace(b"\r\n\r\n", b"\r\n" + offer))
                    said = await edge.loop.sock_recv(plain, 1 << 16)
                    head, _, close = said.partition(b"\r\n\r\n")
                    assert head.startswith(b"HTTP/1.1 101 ")
                    assert close[:4] == bytes([0x88, len(close) - 2]) + (4001).to_bytes(2)
                    assert await edge.loop.sock_recv(plain, 1) == b""
            while edge.gate.census.connections > 1:
                await asyncio.sleep(0)
            assert len(edge.hub) == 1
        assert edge.around.refusals == {("websocket", "full"): 3}


@pytest.mark.parametrize("offer", [b"", b"Sec-WebSocket-Protocol: postcast.v1\r\n"], ids=["HTTP", "WebSocket"])
@pytest.mark.parametrize("is_stopping", [True, False], ids=["is refused", "is taken in"])
async def test_a_client_that_broke_a_limit_while_it_waited_is_answered_once(offer: bytes, is_stopping: bool) -> None:
    """It has its 431: nothing follows, however it would be answered."""
    async with serving() as edge:
        edge.feed.pending.append(record(1))
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(Handshake().request.replace(b"\r\n\r\n", b"\r\n" + offer + b"\r\n"))
        await edge.feed.asked.wait()
        writer.write(b"GET / HTTP/1.1\r\nX: " + bytes(RULES.head_bytes))
        answer = await reader.readuntil(b"\r\n\r\n")
        edge.reception.is_stopping = is_stopping
        edge.feed.catch_up()
        # It is cut after a second, with bytes unread.
        with suppress(ConnectionResetError):
            answer += await reader.read()
        writer.close()
        assert answer.count(b"HTTP/1.1 ") == 1
        assert answer.startswith(b"HTTP/1.1 431 ")
        while edge.gate.census.connections:
            await asyncio.sleep(0.01)


async def test_a_handshake_that_cannot_be_understood_is_refused_by_http() -> None:
    """There is no 101 to answer it with."""
    async with serving() as edge:
        headers = {"Upgrade": "websocket", "Sec-WebSocket-Protocol": "postcast.v1"}
        assert (await edge.get("/", headers))[0] == 400
        assert edge.around.refusals == {("http", "request"): 1}


async def test_clients_beyond_the_rate_come_back_in_turn() -> None:
    """On the WebSocket in tenths of a second, by HTTP in whole ones."""
    async with serving(join_rate=0.1) as edge, edge.connect():
        waits = [float(str((await refused(edge))[1]).rpartition("retry_after=")[2]) for _ in range(3)]
        status, sentence, retry_after = await refusal(edge)
        assert all(12 <= round(later - one) <= 13 for one, later in pairwise([*waits, float(str(retry_after))]))
        assert (status, sentence) == (503, "More clients come than are taken in at a time.\n")
        assert edge.around.refusals == {("websocket", "rate"): 3, ("http", "rate"): 1}


async def test_what_becomes_of_cursors_is_counted() -> None:
    async with serving() as edge:
        edge.feed.publish(1)
        for query in (f"?cursor={before(Offset(0))}", "?cursor=junk", f"?cursor={before(Offset(9))}", "?history=1", ""):
            async with edge.connect(query):
                pass
        assert edge.around.resumes == {"recovered": 1, "invalid": 1, "unknown": 1}


async def test_a_client_changes_what_it_sees() -> None:
    """The answer stands between what was chosen by the old filter and by the new one."""
    async with serving() as edge, edge.connect("?history=0&author=1") as client:
        edge.feed.publish(*(publication(n, author=n % 3) for n in range(3)))
        welcome, post = [json.loads(await client.recv()) for _ in range(2)]
        assert (welcome["action"], post["payload"]["id"]) == ("welcome", 1)
        await client.send(json.dumps({"action": "filter", "id": "f", "payload": {"authors": [2, 0]}}))
        told = json.loads(await client.recv())
        assert (told["action"], told["id"], told["payload"]) == ("filtered", "f", {"authors": 2})
        edge.feed.publish(*(publication(n, author=n % 3) for n in range(3, 7)))
        assert await posts(client, 3) == [3, 5, 6]
        async with edge.connect(f"?cursor={told['cursor']}&author=0") as other:
            assert json.loads(await other.recv())["payload"]["recovered"] is True
            assert await posts(other, 2) == [3, 6]


@pytest.mark.parametrize(("query", "code", "hint"), [("?author=me", 4500, ""), ("?author=1", 4001, "retry_after=")])
async def test_a_filter_that_is_refused_is_refused_on_the_websocket(query: str, code: int, hint: str) -> None:
    """To a client that offers the subprotocol: what is no filter for good, and one without room for now."""
    async with serving(max_authors=0) as edge, edge.connect(query, "postcast.v1") as client:
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, hint in closed.value.rcvd.reason) == (code, True)
