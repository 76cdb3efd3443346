"""Streams of events from the request on, with clients on real sockets; only the feed is a double."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace

import pytest
import structlog

from edge.access.addresses import parse_networks
from edge.access.entrance import Entrance
from edge.access.http import Http
from edge.access.origins import EVERYBODY, UNREAD
from edge.clients.event_stream import EventStream
from edge.fanout.ending import End
from edge.fanout.session import Session
from edge.feed.position import before
from streams.contract import Offset
from tests.edge.kit.edge import Edge, posts, serving
from tests.edge.kit.kept import without_the_collector
from tests.edge.kit.listening import RULES, gate
from tests.edge.kit.pair import connecting
from tests.edge.kit.records import publication, record
from tests.edge.kit.streams import ids, listening_to
from tests.events import Event, events


async def refused(edge: Edge, target: str = "/events", *lines: str) -> tuple[int, list[Event], int | None]:
    """Be refused: status, the events of the answer, and when to come back, in ms."""
    async with listening_to(edge, target, *lines) as client:
        if client.status == 200:
            assert client.headers["Connection"] == "close"
            assert client.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            return client.status, await client.rest(), client.reader.retry
        return client.status, [], None


async def test_a_client_is_greeted_and_gets_posts_with_their_positions() -> None:
    """From the feed's end on; the same messages as on a WebSocket, in the same order."""
    async with serving() as edge:
        edge.feed.publish(1)
        async with listening_to(edge) as client, edge.connect("", "postcast.v1") as other:
            edge.feed.publish(2, 3)
            welcome, *both = await client.events(3)
            assert (welcome.type, welcome.message["payload"]["recovered"]) == ("welcome", True)
            assert welcome.last_event_id == welcome.message["payload"]["cursor"]
            assert [each.type for each in both] == ["message", "message"]
            expected = [json.loads(await other.recv()) for _ in range(3)]
            assert [each.message | {"cursor": each.last_event_id} for each in both] == expected[1:]


@pytest.mark.parametrize("is_stopping", [True, False], ids=["is refused", "is taken in"])
async def test_a_client_that_broke_a_limit_while_it_waited_is_answered_once(is_stopping: bool) -> None:
    """It has its 431: no stream follows, and none that says when to come back."""
    async with serving() as edge, connecting(edge) as peer:
        edge.feed.pending.append(record(1))
        await peer.send(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        await edge.feed.asked.wait()
        await peer.send(b"GET / HTTP/1.1\r\nX: " + bytes(RULES.head_bytes))
        head = await peer.read_head()
        assert head.startswith(b"HTTP/1.1 431 ")
        edge.reception.is_stopping = is_stopping
        edge.feed.catch_up()
        # It is cut after a second, with bytes unread perhaps.
        with suppress(ConnectionResetError):
            assert await peer.read_all() == b"The request's head is larger than it may be.\n"
        assert (len(edge.hub), edge.gate.answers.counts) == (0, {"431": 1})


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_the_answer_ends_with_its_connection_and_may_not_be_changed_on_the_way(version: str) -> None:
    """HTTP/1.0 is what nginx asks with unless told otherwise, and what it would not take pieces from."""
    async with serving() as edge, listening_to(edge, version=version) as client:
        assert client.status == 200
        date = client.headers.pop("Date")
        assert date.endswith(" GMT")
        assert client.headers == {
            "Connection": "close",
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store, no-transform",
            "X-Accel-Buffering": "no",
            "X-Content-Type-Options": "nosniff",
            **EVERYBODY.headers(UNREAD),
        }
        edge.feed.publish(1)
        assert ids(await client.events(2)) == [1]


async def test_head_is_answered_without_a_stream() -> None:
    """As GET would be, and there is no length to tell."""
    async with serving() as edge, listening_to(edge, method="HEAD") as client:
        assert client.status == 200
        assert await client.peer.read_all() == b""
        assert client.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert client.headers["Connection"] == "close"
        assert client.headers.keys().isdisjoint(("Content-Length", "Transfer-Encoding"))
        assert len(edge.hub) == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_another_method_is_told_which_there_are(method: str) -> None:
    async with serving() as edge, listening_to(edge, method=method) as client:
        assert (client.status, client.headers["Allow"]) == (405, "GET,HEAD")


async def test_a_client_goes_on_where_it_was() -> None:
    """By Last-Event-ID, by a cursor, or as far back as it asks; with any cursor from any transport."""
    async with serving() as edge:
        async with edge.connect("", "postcast.v1") as other:
            edge.feed.publish(1, 2, 3)
            cursor = [json.loads(await other.recv()) for _ in range(3)][-1]["cursor"]
        for target, lines, expected in [
            ("/events", [f"Last-Event-ID: {cursor}"], [3]),
            (f"/events?cursor={cursor}", [], [3]),
            ("/events?history=2", [], [2, 3]),
        ]:
            async with listening_to(edge, target, *lines) as client:
                assert ids(await client.events(1 + len(expected))) == expected


@pytest.mark.parametrize("query", ["?cursor={old}", "?history=9", "?cursor={old}&history=9", "?history=nonsense"])
async def test_last_event_id_goes_before_all_else_and_is_never_refused(query: str) -> None:
    """EventSource repeats the URL of its first request for ever."""
    async with serving() as edge:
        old = before(Offset(0))
        edge.feed.publish(1)
        async with listening_to(edge, "/events?history=1") as client:
            newest = (await client.events(2))[-1].last_event_id
        edge.feed.publish(2)
        async with listening_to(edge, f"/events{query.format(old=old)}", f"Last-Event-ID: {newest}") as client:
            assert ids(await client.events(2)) == [2]


async def test_an_empty_last_event_id_is_none() -> None:
    """What comes from a client that was never given one."""
    async with serving() as edge:
        edge.feed.publish(1)
        async with listening_to(edge, "/events?history=1", "Last-Event-ID:") as client:
            assert ids(await client.events(2)) == [1]


@pytest.mark.parametrize("last", ["junk", "0" * 31, "\xfc", "x" * 3000])
async def test_a_last_event_id_that_is_no_cursor_is_said(last: str) -> None:
    """And the feed goes on from now."""
    async with serving() as edge:
        edge.feed.publish(1)
        async with listening_to(edge, "/events", f"Last-Event-ID: {last}") as client:
            edge.feed.publish(2)
            welcome, post = await client.events(2)
            payload = welcome.message["payload"]
            assert (payload["recovered"], payload["reason"]) == (False, "invalid")
            assert ids([post]) == [2]


async def test_a_websocket_goes_on_by_last_event_id_too() -> None:
    """It counts on every transport, and does not decide the form."""
    async with serving() as edge:
        edge.feed.publish(1)
        async with listening_to(edge, "/events?history=1") as client:
            newest = (await client.events(2))[-1].last_event_id
        edge.feed.publish(2)
        async with edge.connect("?history=9", headers=[("Last-Event-ID", newest)]) as v1:
            assert json.loads(await v1.recv())["action"] == "welcome"
            assert await posts(v1, 1) == [2]
        async with edge.connect("", headers=[("Last-Event-ID", newest)]) as plain:
            assert await plain.recv() == '{"action":"created","payload":{"id":2}}'


async def test_a_client_chooses_whose_posts_it_sees() -> None:
    """As on a WebSocket; what it asks for wrongly is refused for good."""
    async with serving() as edge:
        assert (await refused(edge, "/events?author=me"))[0] == 400
        async with listening_to(edge, "/events?author=7&author=9,11") as client:
            await client.events(1)
            edge.feed.publish(*(publication(post, author=author) for post, author in [(1, 7), (2, 8), (3, 11)]))
            assert ids(await client.events(2)) == [1, 3]


async def test_what_makes_no_sense_is_refused_for_good() -> None:
    """By a status: EventSource does not come back."""
    async with serving() as edge:
        for query in ("?history=x", f"?history=1&cursor={before(Offset(0))}"):
            assert await refused(edge, f"/events{query}") == (400, [], None)


async def test_a_client_that_is_refused_for_now_is_told_when_to_come_back() -> None:
    """By a stream that ends: after a 503 EventSource would not come back at all."""
    async with serving() as edge:
        edge.feed.trouble = "Kafka does not answer."
        status, [told], retry = await refused(edge)
        assert (status, told.type, retry) == (200, "end", 1000)
        assert told.message["payload"] == {
            "code": 4001,
            "reason": "The feed cannot be followed now. Kafka does not answer.",
        }
        edge.feed.trouble = None
        await edge.server.drain(0)
        status, [told], retry = await refused(edge, "/events", "Last-Event-ID: kept")
        assert (status, retry, told.message["payload"]["reason"]) == (200, 1000, "The server is shutting down.")
        # What is no position is not repeated.
        assert (told.last_event_id, told.has_id) == ("", False)


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("", f"Last-Event-ID: {before(Offset(3))}"),
        (f"?cursor={before(Offset(3))}", ""),
        (f"?cursor={before(Offset(4))}", f"Last-Event-ID: {before(Offset(3))}"),
        ("", ""),
        ("?history=20", ""),
    ],
)
@pytest.mark.parametrize("is_full", [True, False], ids=["at the door", "later"])
async def test_a_client_that_is_refused_for_now_keeps_its_position_by_the_events_own_id(
    query: str, line: str, is_full: bool
) -> None:
    """Every event has an id: here the client's own position, or that it has none."""
    async with serving(through=gate(total=1)) as edge, edge.connect():
        edge.gate.census.total = 1 if is_full else 100
        edge.feed.trouble = None if is_full else "Kafka does not answer."
        status, [told], _ = await refused(edge, f"/events{query}", *([line] if line else []))
        position = str(before(Offset(3))) if "cursor" in query or line else ""
        assert (status, told.type, told.last_event_id, told.has_id) == (200, "end", position, True)


async def test_a_client_for_whose_position_there_is_no_replay_now_is_told_when_to_come_back() -> None:
    """As after any other refusal for now, it keeps its position."""
    async with serving() as edge:
        edge.log.begin(Offset(50), Offset(50))
        edge.feed.publish(1)
        edge.old.answer = "replays"
        status, [told], retry = await refused(edge, "/events", f"Last-Event-ID: {before(Offset(3))}")
        assert (status, told.message["payload"]["code"]) == (200, 4001)
        assert told.last_event_id == str(before(Offset(3)))
        assert retry is not None
        assert retry >= 1000
        assert edge.around.refusals.total() == 1


@pytest.mark.parametrize(("total", "per_address", "retry"), [(1, 0, 1000), (100, 1, 10_000)])
async def test_streams_count_as_connections(total: int, per_address: int, retry: int) -> None:
    """With those of all transports; a client that is above a limit is told to come back, and its connection closed."""
    async with serving(through=gate(total=total, per_address=per_address)) as edge:
        async with listening_to(edge):
            status, [told], when = await refused(edge)
            assert (status, told.message["payload"]["code"], when) == (200, 4001, retry)
            assert edge.around.open["events"] == 1
        while edge.gate.census.connections:
            await asyncio.sleep(0)
        async with listening_to(edge) as client:
            assert [each.type for each in await client.events(1)] == ["welcome"]


async def test_clients_of_an_edge_that_is_killed_do_not_all_come_back_at_once() -> None:
    """Each is told its own time to wait, at random."""
    async with serving() as edge:
        edge.events._share = iter([0.0, 1.0]).__next__  # noqa: SLF001 - chance, as the test has it
        waits = []
        for _ in range(2):
            async with listening_to(edge) as client:
                await client.events(1)
                waits.append(client.reader.retry)
        assert waits == [1000, 3000]


async def test_what_is_counted_and_logged_is_that_of_any_client() -> None:
    """By transport, with the close code that a WebSocket would have had."""
    rules = replace(RULES, trusted=parse_networks("127.0.0.0/8"))
    with structlog.testing.capture_logs() as logged:
        async with serving(through=gate(rules)) as edge:
            async with listening_to(edge, "/events", "X-Forwarded-For: 192.0.2.1") as client:
                edge.feed.publish(1)
                await client.events(2)
                _, text, _ = await edge.get("/metrics")
                assert {
                    'postcast_edge_connections{transport="websocket"} 0.0',
                    'postcast_edge_connections{transport="events"} 1.0',
                    "postcast_edge_posts_sent_total 1.0",
                    "postcast_edge_takeovers_total 1.0",
                } <= set(text.splitlines())
            await edge.hub.deserted.wait()
            assert (edge.around.open["events"], edge.closes) == (0, {("client", "1006"): 1})
            assert edge.gate.answers.counts == {"200": 2}
    opened, closed = (each for each in logged if each["event"].startswith("session."))
    assert (opened["peer"], opened["encoding"], closed["posts"]) == ("192.0.2.1", "events", 1)


async def test_a_client_that_goes_while_it_waits_is_nobodys_error(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as edge:
        edge.feed.pending.append(record(1))
        async with connecting(edge) as peer:
            await peer.send(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            await edge.feed.asked.wait()
            peer.reset()
        while edge.gate.census.connections:
            await asyncio.sleep(0)
        edge.feed.catch_up()
        await edge.get("/livez")
        assert len(edge.hub) == 0
    assert caplog.records == []


async def test_a_request_behind_it_is_not_answered_into_the_stream() -> None:
    """The connection is the stream's, to its end; whether aiohttp has read the request or not."""
    request = b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n"
    behind = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving() as edge, connecting(edge) as peer:
        await peer.send(request + behind)
        await peer.read_head()
        await peer.send(behind)
        edge.feed.publish(1)
        await edge.get("/livez")
        edge.hub.end_all(End.SHUTDOWN, 0)
        assert [each.type for each in events(await peer.read_all())] == ["welcome", "message", "end"]


async def test_an_answer_before_it_on_the_connection_comes_first() -> None:
    """Also when the client has not read it yet."""
    async with serving() as edge, connecting(edge) as peer:
        await peer.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"Content-Length: 24" in await peer.read_head()
        await peer.read(24)
        assert b"text/event-stream" in await peer.read_head()


@pytest.mark.parametrize("ending", ["client leaves", "client cuts", "server ends"])
async def test_what_an_ended_client_consisted_of_is_freed_without_the_collector(ending: str) -> None:
    """As with WebSockets: the collector hardly ever runs."""
    with without_the_collector(asyncio.Transport, Entrance, EventStream, Http, Session) as kept:
        async with serving() as edge:
            tasks = len(asyncio.all_tasks())
            async with connecting(edge) as peer:
                await peer.send(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
                await peer.read_head()
                while len(asyncio.all_tasks()) > tasks:
                    await asyncio.sleep(0)
                # The transport, its protocol, and the session: nothing of HTTP, and no task.
                assert kept() == 3
                match ending:
                    case "client leaves":
                        peer.leave()
                    case "client cuts":
                        peer.reset()
                    case "server ends":
                        edge.hub.end_all(End.SHUTDOWN, 0)
                        await peer.read_all()
                        peer.leave()
                # Until then; the test's timeout is the limit.
                while kept():
                    await asyncio.sleep(0)
