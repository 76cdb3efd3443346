"""A client's connection on a real socket: what it is told, how it ends, and how rude a peer may be."""

import asyncio
import contextlib
import json
import logging
from dataclasses import replace
from typing import Any

import pytest
import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from edge.clients import websocket
from edge.clients.codes import CLOSES
from edge.clients.websocket import WebSocket
from edge.fanout import member
from edge.fanout.ending import End
from edge.fanout.session import Session
from edge.feed.position import before
from edge.wire.allowance import BYTES, PINGS
from edge.wire.closing import Disconnect, with_return
from edge.wire.events import Message
from edge.wire.frames import close_frame, text_frame
from streams.contract import Offset
from tests.edge.kit.edge import serving
from tests.edge.kit.pair import MANY, masked, pair, paired
from tests.edge.kit.records import frames

BROKEN = b"\xff\xff"


def told(end: End) -> Disconnect:
    """Return how a client is told of this end when nobody else is to come back."""
    return replace(CLOSES[end], reason=with_return(CLOSES[end].reason, 0))


GOODBYE = close_frame(told(End.SHUTDOWN).code, told(End.SHUTDOWN).reason)


def opcodes(data: bytes) -> list[Opcode]:
    """Name whole frames."""
    return [frame.opcode for frame in frames(data)]


def payload_of(disconnect: Disconnect) -> bytes:
    """Return the payload of its close frame."""
    return disconnect.code.to_bytes(2) + disconnect.reason.encode()


# What is written.


async def test_unsent_bytes_are_known_from_the_first_to_the_last() -> None:
    """With limits of zero the transport says exactly when it holds bytes, and when they are gone."""
    async with pair() as (made, peer, _):
        made.write(text_frame(b"small"))
        assert made.unsent_since is None
        assert not made.is_held.is_set()
        made.write(MANY)
        assert made.unsent_since is not None
        assert made.is_held.is_set()
        assert not made.is_drained.is_set()
        data = await peer.read(len(MANY) + 7)
        assert data == text_frame(b"small") + MANY
        await made.is_drained.wait()
        assert made.unsent_since is None


async def test_the_transport_holds_nothing_that_it_does_not_say() -> None:
    """Less than its own limits would be: the hub would write behind its back, into the middle of a frame."""
    async with pair() as (made, peer, _):
        sent = 0
        while not made.is_held.is_set():
            made.write(text_frame(b"x" * 1000))
            sent += 1
        size = made.transport.get_write_buffer_size()
        assert 0 < size <= len(text_frame(b"x" * 1000))
        assert len(await peer.read(sent * 1004)) == sent * 1004


async def test_a_ping_reaches_the_peer() -> None:
    """It asks for a sign of life with the smallest of frames."""
    async with pair() as (made, peer, _):
        made.ping()
        assert opcodes(await peer.read(2)) == [Opcode.PING]


async def test_a_pong_never_stands_within_a_frame_and_the_newest_ping_is_answered() -> None:
    """After what was begun; a client that takes nothing makes nobody keep its pongs (RFC 6455 §5.5.3)."""
    async with pair() as (made, peer, _):
        made.write(MANY)
        held = made.transport.get_write_buffer_size()
        for number in range(50):
            await peer.send(masked(Opcode.PING, b"%d" % number))
        await peer.send(masked(Opcode.TEXT, b"after them"))
        while not made.received:
            await asyncio.sleep(0)
        assert made.transport.get_write_buffer_size() <= held
        *texts, pong = frames(await peer.read(len(MANY) + 4))
        assert [frame.opcode for frame in texts] == [Opcode.TEXT] * 10
        assert (pong.opcode, pong.data) == (Opcode.PONG, b"49")


# What is heard.


async def test_whatever_a_peer_sends_is_a_sign_of_life() -> None:
    """Also a pong, and half a frame."""
    async with pair() as (made, peer, edge):
        for sent in (masked(Opcode.PONG), masked(Opcode.TEXT, b"hello"), masked(Opcode.TEXT)[:1]):
            made.heard = 0.0
            await peer.send(sent)
            while not made.heard:
                await asyncio.sleep(0)
            assert edge.loop.time() - 5 < made.heard <= edge.loop.time()
        assert made.received == [Message(b"hello", is_text=True)]


async def test_a_compressed_message_is_inflated_where_that_was_agreed() -> None:
    """And breaks a rule where it was not."""
    sent = b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00"
    async with pair(compressed=True) as (made, peer, _):
        await peer.send(sent)
        while not made.received:
            await asyncio.sleep(0)
        assert made.received == [Message(b"Hello", is_text=True)]
    async with pair() as (_, peer, _):
        await peer.send(sent)
        assert frames(await peer.read_all())[0].data[:2] == b"\x03\xea"


# The end, by the server.


async def test_a_close_comes_after_what_was_begun_and_is_the_last_frame() -> None:
    """Law 12: the frames that were written, whole, then the code; once."""
    async with pair() as (made, peer, _):
        made.write(MANY)
        made.close(End.FELL_BEHIND)
        made.close(End.SHUTDOWN)
        made.write(text_frame(b"too late"))
        made.ping()
        received = frames(await peer.read(len(MANY) + len(close_frame(4008, told(End.FELL_BEHIND).reason))))
        assert [frame.opcode for frame in received] == [Opcode.TEXT] * 10 + [Opcode.CLOSE]
        assert received[-1].data == payload_of(told(End.FELL_BEHIND))
        assert not made.is_drained.is_set()
        await peer.send(masked(Opcode.CLOSE, bytes(received[-1].data)))
        assert await peer.read_all() == b""


@pytest.mark.parametrize("said", ["nothing", "a ping", "its own close", "much", "what breaks a rule"])
async def test_a_slow_client_gets_all_that_was_begun_and_the_code_whatever_it_says(said: str) -> None:
    """It may not have seen that it is closed; closed with bytes unread, its connection would be reset."""
    sent = {
        "nothing": b"",
        "a ping": masked(Opcode.PING, b"?"),
        "its own close": masked(Opcode.CLOSE, b"\x03\xe8"),
        "much": masked(Opcode.BINARY, bytes(60_000)) * 3,
        "what breaks a rule": BROKEN,
    }[said]
    async with serving() as edge, paired(edge) as (made, peer):
        made.write(MANY)
        made.close(End.SHUTDOWN)
        await peer.send(sent)
        data = b""
        while not data.endswith(GOODBYE):
            data += await peer.read(min(10_000, len(MANY) + len(GOODBYE) - len(data)))
            await asyncio.sleep(0.001)
        assert data == MANY + GOODBYE
        if said not in {"its own close", "what breaks a rule"}:
            await peer.send(masked(Opcode.CLOSE, b"\x03\xe9"))
        assert await peer.read_all() == b""
        peer.leave()
        await made.is_lost.wait()
        assert edge.closes == {("server", "1001"): 1}


async def test_who_does_not_answer_a_close_has_its_time_from_when_all_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before: until then it is the hub that looks for how long it has taken nothing."""
    monkeypatch.setattr(websocket, "CLOSE_SECONDS", 0.05)
    async with pair() as (made, peer, _):
        made.write(MANY)
        made.close(End.SHUTDOWN)
        await asyncio.sleep(0.2)
        assert not made.is_lost.is_set()
        data = await peer.read(len(MANY) // 2)
        await asyncio.sleep(0.2)
        assert not made.is_lost.is_set()
        data += await peer.read_all()
        assert data == MANY + GOODBYE
        await made.is_lost.wait()


async def test_the_time_for_a_close_takes_nothing_from_what_the_kernel_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is closed, not cut: what a client reads later is all that it was sent."""
    monkeypatch.setattr(websocket, "CLOSE_SECONDS", 0.02)
    async with pair() as (made, peer, _):
        made.write(text_frame(b"last"))
        made.close(End.SHUTDOWN)
        await made.is_lost.wait()
        assert opcodes(await peer.read_all()) == [Opcode.TEXT, Opcode.CLOSE]


async def test_pings_and_messages_behind_our_close_are_dropped() -> None:
    """RFC 6455 §5.5.1: nothing is sent after a close; and what the client says is no longer for anybody."""
    async with pair() as (made, peer, _):
        made.close(End.SHUTDOWN)
        await peer.send(masked(Opcode.PING, b"?") + masked(Opcode.TEXT, b"?") + masked(Opcode.CLOSE, b"\x03\xe9"))
        assert await peer.read_all() == GOODBYE
        await made.is_lost.wait()
        assert made.received == []


async def test_an_abort_is_the_end() -> None:
    """And nothing is written to a socket whose number is somebody else's by now."""
    async with pair() as (made, peer, _):
        made.abort(End.STALLED)
        await made.is_lost.wait()
        made.write(text_frame(b"too late"))
        made.ping()
        made.close(End.SHUTDOWN)
        assert await peer.read_all() == b""


async def test_a_lost_connection_is_written_to_by_nobody() -> None:
    """Before the hub was told, and after."""
    async with pair() as (made, peer, edge):
        peer.leave()
        await made.is_lost.wait()
        written: list[object] = []
        made._transport.write = written.append  # type: ignore[method-assign, assignment] # noqa: SLF001 - what a closed one ignores
        made.write(text_frame(b"too late"))
        made.ping()
        made.close(End.SHUTDOWN)
        assert written == []
        assert len(edge.hub) == 0


async def test_all_that_are_left_are_cut_when_the_edge_ends() -> None:
    """Aiohttp does not know them any more."""
    async with serving() as edge, paired(edge) as (one, _), paired(edge) as (other, _):
        other.write(MANY)
        other.close(End.SHUTDOWN)
        edge.hub.cut_some()
        await asyncio.sleep(0)
        assert one.is_lost.is_set()
        assert other.is_lost.is_set()
        assert edge.gate.census.connections == 0


# The end, by the client.


@pytest.mark.parametrize(
    ("sent", "answer", "label", "logged"),
    [
        (masked(Opcode.CLOSE), b"", "1005", 1005),
        (masked(Opcode.CLOSE, b"\x03\xe8well"), b"\x03\xe8", "1000", 1000),
        (masked(Opcode.CLOSE, b"\x03\xe9"), b"\x03\xe9", "1001", 1001),
        (masked(Opcode.CLOSE, b"\x03\xf2"), b"\x03\xe8", "other", 1010),
        (masked(Opcode.CLOSE, (4008).to_bytes(2)), (4008).to_bytes(2), "other", 4008),
        (masked(Opcode.CLOSE, (3777).to_bytes(2)), (3777).to_bytes(2), "other", 3777),
    ],
    ids=["none", "1000", "1001", "1010", "4008", "3777"],
)
async def test_a_clients_close_is_answered_and_counted_as_its_own(
    sent: bytes, answer: bytes, label: str, logged: int
) -> None:
    """With its code; and no client makes a series of its own, or rings an alert that is about us."""
    with structlog.testing.capture_logs() as events:
        async with pair() as (made, peer, edge):
            await peer.send(sent + masked(Opcode.PING, b"too late"))
            [close] = frames(await peer.read_all())
            assert (close.opcode, close.data) == (Opcode.CLOSE, answer)
            await made.is_lost.wait()
            assert edge.closes == {("client", label): 1}
    [closed] = [event for event in events if event["event"] == "session.closed"]
    assert (closed["code"], closed["by"]) == (logged, "client")


async def test_a_client_that_closes_while_it_is_sent_something_gets_that_first() -> None:
    """It has time for it as if the server had closed."""
    async with pair() as (made, peer, _):
        made.write(MANY)
        await peer.send(masked(Opcode.CLOSE, b"\x03\xe8"))
        assert opcodes(await peer.read_all()) == [Opcode.TEXT] * 10 + [Opcode.CLOSE]


@pytest.mark.parametrize("way", ["ends", "leaves", "resets", "pings and resets", "closes and resets"])
async def test_a_client_that_goes_is_nobodys_error(way: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is counted, and no line but that of its session is in the log, however it goes."""
    caplog.set_level(logging.INFO)
    async with pair() as (made, peer, edge):
        if way == "pings and resets":
            await peer.send(masked(Opcode.PING) * 20)
        if way == "closes and resets":
            await peer.send(masked(Opcode.CLOSE))
        if way == "ends":
            peer.end()
        elif way == "leaves":
            peer.leave()
        else:
            peer.reset()
        await made.is_lost.wait()
        # Its close may be read before the reset is noticed.
        expected = {"1006", "1005"} if way == "closes and resets" else {"1006"}
        assert {(by, code) for by, code in edge.closes if by != "client" or code not in expected} == set()
        assert edge.closes.total() == 1
        assert edge.gate.census.connections == 0
    assert caplog.records == []


# The end, since the client broke a rule.


@pytest.mark.parametrize(
    "behind", [b"", masked(Opcode.TEXT, b"x") * 50, bytes(300_000)], ids=["nothing", "a little", "much"]
)
async def test_who_breaks_a_rule_reads_why_whatever_it_goes_on_sending(behind: bytes) -> None:
    """RFC 6455 §7.1.7: it is not read any more, and dropped, so that the connection is not reset."""
    async with pair() as (made, peer, edge):
        sending = asyncio.create_task(peer.send(masked(Opcode.TEXT, b"one") + BROKEN + behind))
        [close] = frames(await peer.read_all())
        assert close.data[:2] == b"\x03\xea"
        await sending
        peer.leave()
        await made.is_lost.wait()
        assert made.received == [Message(b"one", is_text=True)]
        assert edge.closes == {("server", "1002"): 1}
        assert edge.gate.limited == {}


async def test_a_limit_is_told_and_counted() -> None:
    """What came before the breach is answered, and nothing after it."""
    async with pair() as (_, peer, edge):
        await peer.send(masked(Opcode.PING) * 1000)
        *pongs, close = frames(await peer.read_all())
        assert [frame.opcode for frame in pongs] == [Opcode.PONG] * len(pongs)
        assert len(pongs) <= 100
        assert close.data == payload_of(PINGS.disconnect)
        assert edge.gate.limited == {"pings": 1}


async def test_a_flood_is_kept_out_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropping costs time, too; after LINGER_SECONDS the connection is gone."""
    monkeypatch.setattr(websocket, "LINGER_SECONDS", 0.05)
    async with pair() as (made, peer, edge):
        flood = asyncio.create_task(peer.send(bytes([0x82, 0xFF]) + (65_000).to_bytes(8) + bytes(50_000_000)))
        while made.transport.is_reading():
            await asyncio.sleep(0)
        await made.is_lost.wait()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await flood
        assert edge.closes == {("server", "1002"): 1}


async def test_bytes_come_at_their_rate_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """In messages of the largest size."""
    monkeypatch.setattr(websocket, "LINGER_SECONDS", 0.05)
    async with pair() as (made, peer, edge):
        sending = asyncio.create_task(peer.send(masked(Opcode.BINARY, bytes(65_000)) * 11))
        [close] = frames(await peer.read_all())
        assert close.data == payload_of(BYTES.disconnect)
        assert len(made.received) == 10
        assert edge.gate.limited == {"bytes": 1}
        peer.leave()
        await asyncio.wait([sending])
        sending.exception()


async def test_what_comes_slowly_enough_may_come_for_ever() -> None:
    """Fragments of one byte, and pings between them, in pieces that end anywhere."""
    message = (
        Frame(Opcode.TEXT, b"a", fin=False).serialize(mask=True)
        + masked(Opcode.PING)
        + Frame(Opcode.CONT, b"b").serialize(mask=True)
    )
    async with pair() as (made, peer, edge):
        for at in range(0, len(message * 90), 7):
            await peer.send((message * 90)[at : at + 7])
        while len(made.received) < 90:
            await asyncio.sleep(0)
        assert set(made.received) == {Message(b"ab", is_text=True)}
        await peer.send(masked(Opcode.PING, b"last"))
        data = b""
        while not data.endswith(b"last"):
            data += await peer.read(1)
        assert set(opcodes(data)) == {Opcode.PONG}
        assert edge.gate.limited == {}


@pytest.mark.parametrize("is_taken_in", [False, True])
async def test_a_fault_of_ours_ends_the_connection_and_is_logged_once(
    caplog: pytest.LogCaptureFixture, is_taken_in: bool
) -> None:
    """After the takeover there is nobody who could answer it; and the hub writes to nobody who is gone."""
    with structlog.testing.capture_logs() as events:
        async with serving() as edge:
            join = edge.hub.join

            def fail(session: Session, link: WebSocket) -> None:
                if is_taken_in:
                    join(session, link)
                raise ZeroDivisionError

            edge.hub.join = fail  # type: ignore[method-assign, assignment]
            async with paired(edge) as (_, peer):
                assert await peer.read_all() == b""
            while edge.gate.census.connections:
                await asyncio.sleep(0)
            assert len(edge.hub) == 0
    named = [event["event"] for event in events]
    assert named == ["session.opened", "session.failed", *["session.closed"] * is_taken_in]
    assert caplog.records == []


# What is asked for.

ASK = "?history=0"


def ack(cursor: object = before(Offset(0)), id_: int = 1) -> str:
    """Ask for an answer."""
    return json.dumps({"action": "ack", "id": id_, "payload": {"cursor": str(cursor)}})


async def hear(client: ClientConnection) -> Any:
    """Receive a message."""
    return json.loads(await client.recv())


async def code_of(client: ClientConnection) -> tuple[int | None, str | None]:
    """Read on until the server has closed; return the code and the reason."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await client.recv()
    return client.close_code, client.close_reason


async def test_requests_are_answered_in_their_order() -> None:
    """Behind the welcome, whatever comes between them."""
    async with serving() as edge, edge.connect(ASK) as client:
        for number in range(5):
            await client.send(ack(id_=number))
        await client.send("nonsense")
        edge.feed.publish(1)
        heard = [await hear(client) for _ in range(8)]
        answers = [one for one in heard if one["action"] not in ("welcome", "created")]
        assert heard[0]["action"] == "welcome"
        assert [one.get("id") for one in answers] == [0, 1, 2, 3, 4, None]
        assert [one["action"] for one in answers] == ["acked"] * 5 + ["error"]
        assert (edge.around.tally.requests, edge.around.tally.errors) == ({"ack": 5, "other": 1}, {"bad_message": 1})


async def test_what_a_plain_client_says_is_ignored() -> None:
    """It is sent posts and nothing else; nor does it count."""
    async with serving() as edge, edge.connect() as client:
        for _ in range(20):
            await client.send("nonsense")
        await client.send(ack())
        edge.feed.publish(1)
        assert (await hear(client))["payload"] == {"id": 1}
        assert edge.around.tally.requests == {}


@pytest.mark.parametrize(("query", "size", "code"), [(ASK, 65537, None), (ASK, 262_145, 1009), ("", 65537, 1009)])
async def test_a_large_message_is_an_error_for_who_can_be_told(query: str, size: int, code: int | None) -> None:
    async with serving() as edge, edge.connect(query) as client:
        await client.send("x" * size)
        if code is None:
            assert (await hear(client))["action"] == "welcome"
            assert (await hear(client))["payload"]["code"] == "too_big"
            await client.send(ack())
            assert (await hear(client))["action"] == "acked"
        else:
            assert (await code_of(client))[0] == code


@pytest.mark.parametrize(("query", "code"), [(ASK, 4029), ("", 1008)])
async def test_too_many_messages_end_a_session(query: str, code: int) -> None:
    """A client that has asked for more is told to come back, and when."""
    async with serving() as edge, edge.connect(query) as client:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(200):
                await client.send(ack())
        closed, reason = await code_of(client)
        assert closed == code
        assert reason is not None
        assert reason.endswith("retry_after=5") is (code == 4029)
        assert edge.gate.limited == {"messages": 1}


async def test_more_than_ten_errors_in_a_minute_end_a_session() -> None:
    async with serving() as edge, edge.connect(ASK) as client:
        for _ in range(11):
            await client.send("nonsense")
        errors = 0
        with contextlib.suppress(ConnectionClosed):
            while True:
                errors += (await hear(client))["action"] == "error"
        assert (errors, client.close_code, edge.gate.limited) == (10, 4500, {"errors": 1})


async def test_a_client_that_reads_no_answers_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for it is bounded."""
    monkeypatch.setattr(member, "MOST_OWED", 3)
    async with serving() as edge, paired(edge, query=ASK) as (made, peer):
        made.write(MANY)
        for _ in range(4):
            await peer.send(masked(Opcode.TEXT, ack().encode()))
        sent = frames(await peer.read_all())
        assert sent[-1].data == b"\x0f\xbdtoo many answers that are not read; retry_after=5"
        assert edge.gate.limited == {"answers": 1}
