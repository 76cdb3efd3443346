"""A client's stream of events on a real socket: what it is told, how it ends, and how rude a peer may be."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from edge.access.returns import Returns
from edge.clients import event_stream
from edge.clients.event_stream import IGNORED_BYTES
from edge.fanout.deadlines import Patience
from edge.fanout.ending import End
from streams.contract import Offset
from tests.edge.kit.edge import PATIENCE, Edge, serving
from tests.edge.kit.pair import Peer, connecting
from tests.edge.kit.records import record
from tests.edge.kit.streams import MANY, Listener, RecordedStream, ids, listening_to
from tests.events import events


@asynccontextmanager
async def stream(patience: Patience = PATIENCE) -> AsyncIterator[tuple[RecordedStream, Listener, Edge]]:
    """Serve meanwhile, to one client, which has read its welcome."""
    async with serving(patience=patience) as edge:
        async with listening_to(edge) as client:
            await client.events(1)
            made = RecordedStream.last
            yield made, client, edge
        await made.is_lost.wait()


async def test_an_end_says_why_and_where_and_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the stream ends at once, and nothing of it is lost."""
    monkeypatch.setattr(event_stream, "CLOSE_SECONDS", 600.0)
    async with stream() as (made, client, edge):
        edge.feed.publish(1)
        made.close(End.SHUTDOWN)
        made.close(End.AGED)
        assert not made.write(b"too late")
        made.ping()
        post, told = await client.rest()
        assert ids([post]) == [1]
        assert (told.type, told.last_event_id) == ("end", post.last_event_id)
        assert told.message == {
            "action": "end",
            "payload": {"code": 1001, "reason": "the server is shutting down; connect again"},
        }
        # Nobody else is to come back here.
        assert client.reader.retry == 1000
        client.peer.leave()
        await made.is_lost.wait()
        assert edge.closes == {("server", "1001"): 1}


async def test_an_end_has_the_position_behind_records_that_show_nothing() -> None:
    """So that a client need not read them again."""
    async with stream() as (made, client, edge):
        edge.feed.publish(1)
        edge.feed.publish(1)
        made.close(End.SHUTDOWN)
        post, told = await client.rest()
        assert told.last_event_id == str(edge.log.cursor_at(edge.log.head)) > post.last_event_id


async def test_a_client_that_the_log_has_moved_past_keeps_its_own_position() -> None:
    """What begins at the edge's position is gone: only the client's own says what it lacks."""
    async with stream() as (made, client, edge):
        made.write(MANY)
        assert made.unsent_since is not None
        for number in range(1, 4000):
            edge.feed.publish(number)
        while not edge.closes and made.close_by is None and not made.transport.is_closing():
            read = await client.peer.read(10_000)
            client.reader.feed(read)
        told = (await client.rest())[-1]
        assert (told.type, told.message["payload"]["code"], told.last_event_id) == ("end", 4008, "c")


async def test_a_client_that_is_ended_before_it_is_told_of_a_gap_keeps_its_own_position() -> None:
    """Else it would come back behind the gap, and never hear what it has missed."""
    async with stream() as (made, client, edge):
        edge.feed.publish(1)
        (post,) = await client.events(1)
        made.write(MANY)
        assert made.unsent_since is not None
        edge.log.skip_to(Offset(50))
        edge.hub.interrupt("interrupted")
        edge.feed.publish(7)
        await asyncio.sleep(0.05)
        made.close(End.SHUTDOWN)
        rest = await client.rest()
        # That of the last event before the end: none of its own.
        assert [each.type for each in rest] == ["message"] * 10 + ["end"]
        assert rest[-1].last_event_id == rest[-2].last_event_id != post.last_event_id


async def test_a_slow_client_gets_all_that_was_begun_and_the_end() -> None:
    """The connection closes when all bytes went out, however long that takes, whatever it says meanwhile."""
    async with stream() as (made, client, edge):
        made.write(MANY)
        made.close(End.SHUTDOWN)
        await client.peer.send(b"x" * 1000)
        await asyncio.sleep(0.05)
        assert not made.is_lost.is_set()
        read = await client.rest()
        assert [each.type for each in read] == ["message"] * 10 + ["end"]
        client.peer.leave()
        await made.is_lost.wait()
        assert edge.closes == {("server", "1001"): 1}


async def test_a_client_that_does_not_close_is_cut_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """From when all is sent; what the kernel has it can still read."""
    monkeypatch.setattr(event_stream, "CLOSE_SECONDS", 0.05)
    async with stream() as (made, client, _):
        made.close(End.SHUTDOWN)
        await made.is_lost.wait()
        assert [each.type for each in await client.rest()] == ["end"]


async def test_a_silent_client_is_not_dead() -> None:
    """It has no way to give a sign of life: neither asked for one, nor cut."""
    async with stream(Patience(ping=0.01, dead=0.02, stalled=600)) as (made, client, edge):
        await asyncio.sleep(0.2)
        assert not made.is_lost.is_set()
        edge.feed.publish(1)
        assert ids(await client.events(1)) == [1]


async def test_heartbeats_come_in_silence_and_move_the_position() -> None:
    """Behind a record that shows nothing, too; they are what a client that says nothing is looked at by."""
    async with stream(replace(PATIENCE, heartbeat=0.05)) as (_, client, edge):
        edge.feed.publish(1)
        edge.feed.publish(1)
        post, *beats = await client.events(3)
        assert [post.type, *(each.type for each in beats)] == ["message", "heartbeat", "heartbeat"]
        head = str(edge.log.cursor_at(edge.log.head))
        assert [each.last_event_id for each in beats] == [each.message["cursor"] for each in beats] == [head, head]
        assert post.last_event_id < head


async def test_a_client_that_comes_back_is_told_when_it_has_caught_up() -> None:
    """Once, with the position."""
    async with serving() as edge:
        edge.feed.publish(1, 2)
        async with listening_to(edge, "/events?history=1") as client:
            welcome, post, caught_up = await client.events(3)
            assert (welcome.message["payload"]["behind"], ids([post]), caught_up.type) == (1, [2], "caught_up")
            assert caught_up.last_event_id == str(edge.log.cursor_at(edge.log.head))


async def test_a_client_that_takes_nothing_is_cut() -> None:
    """As on a WebSocket: without a word."""
    async with stream(Patience(ping=20, dead=60, stalled=0.05, heartbeat=600)) as (made, _, edge):
        made.write(MANY)
        await made.is_lost.wait()
        assert edge.closes == {("server", "1006"): 1}


@pytest.mark.parametrize("how", [Peer.leave, Peer.reset, Peer.end])
async def test_a_client_that_leaves_is_gone(how: Callable[[Peer], None]) -> None:
    """However it does; also when it only ends what it sends, as on a WebSocket."""
    async with stream() as (made, client, edge):
        how(client.peer)
        await made.is_lost.wait()
        assert (len(edge.hub), edge.closes) == (0, {("client", "1006"): 1})
        assert edge.gate.census.connections == 0


async def test_what_a_client_says_is_dropped_and_bounded() -> None:
    """A little of it changes nothing; a flood is the end of the connection."""
    async with stream() as (made, client, edge):
        await client.peer.send(b"x" * IGNORED_BYTES)
        edge.feed.publish(1)
        assert ids(await client.events(1)) == [1]
        await client.peer.send(b"x")
        await made.is_lost.wait()
        assert edge.closes == {("server", "1008"): 1}
        assert edge.gate.limited == {"bytes": 1}


async def test_what_is_sent_too_much_before_the_stream_begins_is_refused_and_nothing_follows() -> None:
    """A refusal is never written into a stream, nor a stream behind one."""
    async with serving() as edge, connecting(edge) as peer:
        edge.feed.pending.append(record(1))
        await peer.send(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        await edge.feed.asked.wait()
        await peer.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000)
        head = await peer.read_head()
        edge.feed.catch_up()
        assert head.startswith(b"HTTP/1.1 431 ")
        with suppress(ConnectionResetError):
            assert await peer.read_all() == b"The request's head is larger than it may be.\n"
        assert len(edge.hub) == 0


async def test_a_gap_is_said_within_the_stream() -> None:
    """By a welcome with a reason, and the feed goes on behind it."""
    async with stream() as (made, client, edge):
        edge.log.begin(Offset(50), Offset(50))
        edge.hub.interrupt("interrupted")
        edge.feed.publish(7)
        welcome, post = await client.events(2)
        payload = welcome.message["payload"]
        assert (welcome.type, payload["recovered"], payload["reason"]) == ("welcome", False, "interrupted")
        assert ids([post]) == [7]
        assert made.unsent_since is None


async def test_clients_that_are_ended_come_back_one_after_the_other() -> None:
    """Each is told its turn, by ``retry``; never so soon that failed attempts come in a hurry."""
    async with serving() as edge, listening_to(edge) as one, listening_to(edge) as other:
        object.__setattr__(edge.around, "returns", Returns(1))
        await asyncio.gather(one.events(1), other.events(1))
        await edge.server.drain(0)
        await asyncio.gather(one.rest(), other.rest())
        assert sorted(each.reader.retry or 0 for each in (one, other)) == pytest.approx([2250, 3500], abs=100)


async def test_a_client_whose_token_has_run_out_is_told_its_turn_too() -> None:
    """It comes back by itself, be it told so or not, and thousands would come in one second."""
    async with serving() as edge, listening_to(edge) as client:
        await client.events(1)
        object.__setattr__(edge.around, "returns", Returns(1))
        RecordedStream.last.close(End.EXPIRED)
        [end] = await client.rest()
        assert end.message["payload"]["code"] == 4501
        assert client.reader.retry == pytest.approx(2250, abs=100)


async def test_a_drain_is_spread_and_every_client_gets_posts_until_its_end() -> None:
    """Nothing is lost between the last post of one connection and the first of the next."""
    async with serving() as edge:
        async with listening_to(edge) as one, listening_to(edge) as other:
            await asyncio.gather(one.events(1), other.events(1))
            draining = asyncio.create_task(edge.server.drain(5))
            read = await asyncio.gather(one.rest(), other.rest())
            assert [[each.type for each in each_read] for each_read in read] == [["end"], ["end"]]
            one.peer.leave()
            other.peer.leave()
            await draining
        assert edge.closes == {("server", "1001"): 2}


def test_what_is_read_strictly_would_not_pass_otherwise() -> None:
    """The reader itself: a comment, an unknown field, a field twice, an event without data."""
    for wrong in (b": hello\n\n", b"x: 1\n\n", b"id: 1\nid: 2\ndata: x\n\n", b"id: 1\n\n", b"data: x\nid: 1\n\n"):
        with pytest.raises(AssertionError):
            events(wrong)
