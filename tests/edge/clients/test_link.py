"""What holds for every connection that was taken over from aiohttp, whatever is spoken on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog

from edge.clients.link import TRANSPORTS, TransportLink
from edge.fanout.ending import End
from edge.wire.encoding import Encoding
from edge.wire.event_encodings import EVENTS
from edge.wire.websocket_encodings import CURSOR
from tests.edge.kit.edge import Edge, serving
from tests.edge.kit.pair import Peer, connecting
from tests.edge.kit.pair import Recorded as RecordedWebSocket
from tests.edge.kit.records import messages, publication
from tests.edge.kit.streams import RecordedStream
from tests.strict import Handshake

REQUESTS = {
    "websocket": Handshake().request.replace(b"GET / ", b"GET /?history=0 "),
    "events": b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
ENCODINGS: dict[str, Encoding] = {"websocket": CURSOR, "events": EVENTS}
MANY = 100
"""So many posts of a kilobyte are more than a socket takes whose buffers are as small as they get."""


@asynccontextmanager
async def connected(edge: Edge, transport: str) -> AsyncIterator[tuple[TransportLink, Peer]]:
    """Connect a peer with a small buffer, which reads nothing but the answer's head."""
    edge.websockets.websocket, edge.events.stream = RecordedWebSocket, RecordedStream
    async with connecting(edge) as peer:
        await peer.send(REQUESTS[transport])
        await peer.read_head()
        yield RecordedStream.last if transport == "events" else RecordedWebSocket.last, peer


def test_every_transport_is_tested_here() -> None:
    assert REQUESTS.keys() == ENCODINGS.keys() <= set(TRANSPORTS)


@pytest.mark.parametrize("transport", REQUESTS)
async def test_a_slow_client_is_paused_and_gets_every_post_once_and_in_order(transport: str) -> None:
    """While its transport holds bytes nothing is added to them; then it goes on where it was."""
    async with serving() as edge, connected(edge, transport) as (link, peer):
        for number in range(1, MANY + 1):
            edge.feed.publish(publication(number, text="x" * 1000))
        assert link.unsent_since is not None
        assert edge.hub.lagging == 1
        data = b""
        while b'"id":%d,' % MANY not in data:
            data += await peer.read(1000)
        while not data.endswith(b"\n\n" if transport == "events" else b'"window":0}'):
            data += await peer.read(1)
        # The stream's first line is no message.
        data = data[data.index(b"id: ") :] if transport == "events" else data
        read = messages(data, ENCODINGS[transport])
        assert [each["payload"]["id"] for each in read if each["action"] == "created"] == list(range(1, MANY + 1))
        while link.unsent_since is not None:
            await asyncio.sleep(0)


@pytest.mark.parametrize("transport", REQUESTS)
async def test_connections_are_counted_while_they_are_open(transport: str) -> None:
    """By transport; and how each has ended, once, by the first that ended it."""
    async with serving() as edge:
        async with connected(edge, transport) as (link, _):
            assert edge.around.open == {transport: 1}
            link.close(End.SHUTDOWN)
            link.abort(End.STALLED)
        await edge.hub.deserted.wait()
        assert edge.around.open == {transport: 0}
        assert edge.closes == {("server", "1001"): 1}
        assert edge.gate.census.connections == 0


@pytest.mark.parametrize("end", [End.DEAD, End.STALLED, End.SHUTDOWN])
async def test_a_connection_that_is_cut_without_a_word_is_counted_as_cut(end: End) -> None:
    """At the edge's end, too: whoever is left is cut, whatever became of its session."""
    async with serving() as edge:
        async with connected(edge, "websocket") as (link, _):
            link.abort(end)
        await edge.hub.deserted.wait()
        assert edge.closes == {("server", "1006"): 1}


@pytest.mark.parametrize("transport", REQUESTS)
async def test_a_session_is_logged_when_it_opens_and_when_it_closes(transport: str) -> None:
    """By the name that its welcome has, with whose it is and what ended it."""
    with structlog.testing.capture_logs() as logged:
        async with serving() as edge:
            async with connected(edge, transport) as (link, _):
                link.close(End.SHUTDOWN)
            await edge.hub.deserted.wait()
    opened, closed = (each for each in logged if each["event"].startswith("session."))
    assert (opened["event"], opened["peer"]) == ("session.opened", "127.0.0.1")
    assert (closed["event"], closed["session"], closed["peer"]) == ("session.closed", opened["session"], "127.0.0.1")
    assert (closed["code"], closed["reason"]) == (1001, "the server is shutting down; connect again")


@pytest.mark.parametrize("transport", REQUESTS)
async def test_a_session_that_cannot_begin_is_logged_and_cut(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nobody left to answer: its head is written already."""
    with structlog.testing.capture_logs() as logged:
        async with serving() as edge:
            monkeypatch.setattr(edge.hub, "join", lambda *_: 1 / 0)
            async with connected(edge, transport) as (_, peer):
                with pytest.raises((AssertionError, ConnectionResetError)):
                    await peer.read(1_000_000)
            while edge.gate.census.connections:
                await asyncio.sleep(0)
            assert edge.around.open == {transport: 0}
    assert [each["event"] for each in logged if each["log_level"] == "error"] == ["session.failed"]
