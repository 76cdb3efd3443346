"""Where a device goes on: behind its cursor, else at what it has acknowledged, else as if it were none."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from edge.access.grant import Grant
from edge.clients.devices import Devices
from edge.clients.joining import JoinRequest
from edge.feed.position import Cursor, Gap, before, position_of, stamp_of
from edge.positions.device import Key
from edge.positions.keeper import Keeper
from edge.positions.store import Row
from edge.wire.handshake import Rejected
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Offset
from tests.edge.kit.edge import Edge, posts, serving
from tests.edge.kit.positions import Foreigners, MemoryStore
from tests.edge.kit.records import record
from tests.edge.kit.refused import refusal
from tests.edge.kit.sign_in import MemorySignIn, granted
from tests.edge.kit.streams import ids, listening_to

ALICE = Grant("alice", None, None)
PHONE = Key("alice", "phone")
SEEN = before(Offset(7))
ASKED = JoinRequest(CURSOR, history=5, grant=ALICE, device="phone")


async def _placed(asked: JoinRequest, store: MemoryStore, *, seconds: float = 5) -> JoinRequest | Rejected:
    return await Devices(Keeper(store, seconds=2, foreign=Foreigners()), seconds=seconds).placed(asked)


def _told(placed: JoinRequest | Rejected) -> tuple[JoinRequest, Key, str]:
    """Return what was placed without its seat, and what that says."""
    assert isinstance(placed, JoinRequest)
    assert placed.seat is not None
    return replace(placed, seat=None), placed.seat.key, placed.seat.stored


async def test_a_device_goes_on_at_its_position() -> None:
    """That goes before the history that it asks for, and after its cursor."""
    store = MemoryStore()
    store.store([Row(PHONE, str(SEEN))])
    assert _told(await _placed(ASKED, store)) == (replace(ASKED, cursor=SEEN, history=0), PHONE, str(SEEN))
    assert store.reads == [[PHONE]]


async def test_a_device_without_a_position_begins_as_any_client() -> None:
    store = MemoryStore()
    assert _told(await _placed(ASKED, store)) == (ASKED, PHONE, "")


@pytest.mark.parametrize("cursor", [before(Offset(3)), Gap("invalid")])
async def test_a_cursor_goes_before_what_is_stored(cursor: Cursor | Gap) -> None:
    """The database is not even asked: it may be away."""
    store = MemoryStore()
    store.away = "gone"
    asked = replace(ASKED, cursor=cursor)
    assert _told(await _placed(asked, store)) == (asked, PHONE, "")
    assert store.reads == []


async def test_what_is_stored_and_is_no_cursor_is_a_gap() -> None:
    """Whoever has written it: the client is told, and its next position takes the place of that."""
    store = MemoryStore()
    store.store([Row(PHONE, "what?")])
    assert _told(await _placed(ASKED, store)) == (replace(ASKED, cursor=Gap("invalid"), history=0), PHONE, "what?")


async def test_a_device_that_needs_its_position_is_told_when_to_come_back() -> None:
    """While the database is away, and when it takes too long."""
    away, slow = MemoryStore(), MemoryStore()
    away.away = "gone"
    slow.gate.clear()
    for store, seconds in ((away, 5), (slow, 0.01)):
        refused = await _placed(ASKED, store, seconds=seconds)
        assert isinstance(refused, Rejected)
        assert (refused.status, refused.why, refused.retry_after) == (503, "positions", 2)


async def test_a_database_that_hangs_is_known_to_be_away() -> None:
    """Clients are sent away before it has failed; nothing is acknowledged that would tell it otherwise."""
    store = MemoryStore()
    store.gate.clear()
    keeper = Keeper(store, seconds=2, foreign=Foreigners())
    for _ in range(3):
        assert isinstance(await Devices(keeper, seconds=0.01).placed(ASKED), Rejected)
    store.away = "the database did not answer in time"
    store.gate.set()
    async with asyncio.timeout(5):
        while not keeper.is_away:
            await asyncio.sleep(0)
    assert (keeper.trouble, keeper.reads) == (store.away, {"failed": 1})


@pytest.mark.parametrize(
    ("grant", "status", "why"),
    [
        (None, 401, "anonymous"),
        (Grant("x" * 256, None, None), 400, "request"),
        (Grant("a\0", None, None), 400, "request"),
    ],
)
async def test_a_position_is_kept_for_who_has_signed_in(grant: Grant | None, status: int, why: str) -> None:
    """With a subject that can be stored; what is wrong with it comes from no database."""
    refused = await _placed(replace(ASKED, grant=grant), MemoryStore())
    assert isinstance(refused, Rejected)
    assert (refused.status, refused.why, refused.retry_after) == (status, why, None)


async def test_where_nothing_is_stored_a_device_is_a_name() -> None:
    """It makes a client with cursors, and needs no token; and where something is, others are not asked for one."""
    asked = replace(ASKED, grant=None)
    assert await Devices(None, seconds=5).placed(asked) is asked
    nameless = replace(asked, device=None)
    assert await _placed(nameless, MemoryStore()) is nameless


# With clients.

BEARER = ("Authorization", "Bearer alice")
DEVICE = "?device=phone"


def _signing_in() -> MemorySignIn:
    return MemorySignIn({"alice": granted("alice"), "bob": granted("bob")})


def _client(edge: Edge, query: str = DEVICE, *, bearer: str = "alice") -> connect:
    return edge.connect(query, headers=[("Authorization", f"Bearer {bearer}")])


async def _hear(client: ClientConnection, action: str) -> Any:
    """Receive messages up to the first with an action."""
    while (message := json.loads(await client.recv()))["action"] != action:
        pass
    return message


async def _acknowledge(client: ClientConnection, cursor: str, id_: int = 1) -> None:
    await client.send(json.dumps({"action": "ack", "id": id_, "payload": {"cursor": cursor}}))


async def test_a_device_goes_on_on_another_edge() -> None:
    """Behind what it has acknowledged, although it brings no cursor; another device and another subject do not."""
    store = MemoryStore()
    async with (
        serving(sign_in=_signing_in(), store=store) as first,
        serving(sign_in=_signing_in(), store=store) as other,
    ):
        for edge in (first, other):
            edge.feed.publish(1, 2)
        async with _client(first, f"{DEVICE}&history=1") as client:
            assert (await _hear(client, "welcome"))["payload"]["recovered"] is True
            cursor = (await _hear(client, "created"))["cursor"]
            await _acknowledge(client, cursor)
            acked = await _hear(client, "acked")
            assert (acked["id"], acked["payload"]) == (1, {"position": cursor})
        for edge in (first, other):
            edge.feed.publish(3)
        async with _client(other, f"{DEVICE}&history=2") as client:
            welcome = await _hear(client, "welcome")
            assert (welcome["payload"]["recovered"], welcome["payload"]["cursor"]) == (True, cursor)
            assert await posts(client, 1) == [3]
        async with _client(other, "?device=tablet&history=2") as client:
            assert await posts(client, 2) == [2, 3]
        async with _client(other, f"{DEVICE}&history=2", bearer="bob") as client:
            assert await posts(client, 2) == [2, 3]


async def test_a_cursor_goes_before_the_position_and_events_have_it_too() -> None:
    """``Last-Event-ID``, the cursor, the stored position, the history."""
    store = MemoryStore()
    async with serving(sign_in=_signing_in(), store=store) as edge:
        edge.feed.publish(1)
        edge.feed.publish(2)
        edge.feed.publish(3)
        behind_first, behind_second = (str(edge.log.cursor_at(edge.log.position_at(Offset(n)))) for n in (1, 2))
        store.store([Row(PHONE, behind_second)])
        async with _client(edge, f"{DEVICE}&cursor={behind_first}") as client:
            assert await posts(client, 2) == [2, 3]
        async with _client(edge) as client:
            assert await posts(client, 1) == [3]
        async with listening_to(edge, f"/events{DEVICE}", ": ".join(BEARER)) as listener:
            assert ids(await listener.events(2)) == [3]
        last = f"Last-Event-ID: {behind_first}"
        async with listening_to(edge, f"/events{DEVICE}", ": ".join(BEARER), last) as listener:
            assert ids(await listener.events(3)) == [2, 3]


async def test_a_position_that_cannot_be_gone_on_at_is_replaced() -> None:
    """The client is told why, once; from its next acknowledgement on it goes on on any edge."""
    store = MemoryStore()
    gone = str(Cursor(position_of(Offset(7), 1), b"another."))
    store.store([Row(PHONE, gone)])
    async with serving(sign_in=_signing_in(), store=store) as edge:
        edge.feed.publish(1)
        async with _client(edge) as client:
            welcome = (await _hear(client, "welcome"))["payload"]
            assert (welcome["recovered"], welcome["reason"]) == (False, "unknown")
            edge.feed.publish(2)
            cursor = (await _hear(client, "created"))["cursor"]
            await _acknowledge(client, cursor)
            assert (await _hear(client, "acked"))["payload"] == {"position": cursor}
        assert cursor < gone
        assert store.positions == {PHONE: cursor}


async def _until_stored(store: MemoryStore, position: str) -> None:
    while store.positions != {PHONE: position}:
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_position_of_a_feed_that_is_gone_is_replaced_whatever_cursor_the_client_has(*, is_told: bool) -> None:
    """It is told that it cannot go on at its cursor, which is not what is stored; or its cursor is of the new feed."""
    store = MemoryStore()
    gone, newest = (str(Cursor(position_of(Offset(number), 1), b"another.")) for number in (7, 8))
    store.store([Row(PHONE, gone)])
    async with serving(sign_in=_signing_in(), store=store) as edge:
        edge.feed.publish(1)
        cursor = newest if is_told else str(before(Offset(1)))
        async with _client(edge, f"{DEVICE}&cursor={cursor}") as client:
            assert (await _hear(client, "welcome"))["payload"]["recovered"] is not is_told
            edge.feed.publish(2)
            cursor = (await _hear(client, "created"))["cursor"]
            await _acknowledge(client, cursor)
            assert (await _hear(client, "acked"))["payload"] == {"position": gone}
        await _until_stored(store, cursor)
        edge.feed.publish(3)
        async with _client(edge) as client:
            assert (await _hear(client, "welcome"))["payload"]["recovered"] is True
            assert await posts(client, 1) == [3]


@pytest.mark.parametrize("is_ahead", [True, False])
async def test_a_connection_with_an_old_cursor_does_not_move_back_where_another_is(*, is_ahead: bool) -> None:
    """Its cursor is refused; the position that the other one has stored is good, also where this edge is behind it."""
    store = MemoryStore()
    async with serving(sign_in=_signing_in(), store=store) as edge:
        for number in range(9):
            edge.feed.publish(number)
        edge.log.kept.forget(edge.log.position_at(Offset(5)))
        async with _client(edge, f"{DEVICE}&cursor={before(Offset(1))}") as client:
            welcome = (await _hear(client, "welcome"))["payload"]
            assert (welcome["recovered"], welcome["reason"]) == (False, "expired")
            edge.feed.publish(10)
            cursor = (await _hear(client, "created"))["cursor"]
            value = record(11)
            good = str(Cursor(position_of(Offset(10), 1), stamp_of(value)))
            store.store([Row(PHONE, good)])
            edge.feed.pending.append(value)
            if not is_ahead:
                edge.feed.catch_up()
            edge.feed.asked.clear()
            for id_ in (1, 2):
                await _acknowledge(client, cursor, id_)
                assert (await _hear(client, "acked"))["payload"] == {"position": good}
            if is_ahead:
                await edge.feed.asked.wait()
            edge.feed.catch_up()
        assert edge.keeper is not None
        await edge.keeper.drain(5)
        assert store.positions == {PHONE: good}
        assert all(row.replaces in ("", str(before(Offset(1)))) for rows in store.written for row in rows)


async def test_a_feed_that_is_made_anew_under_a_connection_replaces_its_position() -> None:
    """Everything that it had acknowledged is of the feed that is gone; it need not connect again."""
    store = MemoryStore()
    async with serving(sign_in=_signing_in(), store=store) as edge, _client(edge) as client:
        await _hear(client, "welcome")
        for number in (1, 2, 3):
            edge.feed.publish(number)
        gone = [(await _hear(client, "created"))["cursor"] for _ in range(3)][-1]
        await _acknowledge(client, gone)
        await _hear(client, "acked")
        edge.log.begin(Offset(0), Offset(0))
        edge.hub.interrupt("recreated")
        edge.feed.publish(9)
        welcome = (await _hear(client, "welcome"))["payload"]
        assert (welcome["recovered"], welcome["reason"]) == (False, "recreated")
        cursor = (await _hear(client, "created"))["cursor"]
        assert cursor < gone
        await _acknowledge(client, cursor)
        assert (await _hear(client, "acked"))["payload"] == {"position": cursor}
        assert store.positions == {PHONE: cursor}


async def test_a_feed_that_is_made_anew_before_the_first_position_is_stored_replaces_it_too() -> None:
    """It was on its way when the client was told."""
    store = MemoryStore()
    async with serving(sign_in=_signing_in(), store=store) as edge, _client(edge) as client:
        await _hear(client, "welcome")
        edge.feed.publish(1)
        edge.feed.publish(2)
        gone = [(await _hear(client, "created"))["cursor"] for _ in range(2)][-1]
        store.gate.clear()
        await _acknowledge(client, gone)
        assert edge.keeper is not None
        while not edge.keeper.waiting:
            await asyncio.sleep(0)
        edge.log.begin(Offset(0), Offset(0))
        edge.hub.interrupt("recreated")
        edge.feed.publish(9)
        cursor = (await _hear(client, "created"))["cursor"]
        assert cursor < gone
        await _acknowledge(client, cursor, 2)
        store.gate.set()
        acked = [await _hear(client, "acked") for _ in range(2)]
        assert acked[-1]["payload"] == {"position": cursor}
        assert store.positions == {PHONE: cursor}


async def test_two_connections_of_a_device_have_one_position() -> None:
    """The one that is further on, whichever has said it; both are told that."""
    store = MemoryStore()
    async with serving(sign_in=_signing_in(), store=store) as edge, _client(edge) as fast, _client(edge) as slow:
        edge.feed.publish(1)
        edge.feed.publish(2)
        cursors = [(await _hear(fast, "created"))["cursor"] for _ in range(2)]
        await _acknowledge(fast, cursors[1])
        assert (await _hear(fast, "acked"))["payload"] == {"position": cursors[1]}
        await _hear(slow, "created")
        await _acknowledge(slow, cursors[0])
        assert (await _hear(slow, "acked"))["payload"] == {"position": cursors[1]}
        assert store.positions == {PHONE: cursors[1]}


async def test_what_a_client_has_said_before_it_left_is_stored() -> None:
    """It is gone before there is an answer."""
    store = MemoryStore()
    async with serving(sign_in=_signing_in(), store=store) as edge:
        async with _client(edge) as client:
            edge.feed.publish(1)
            cursor = (await _hear(client, "created"))["cursor"]
            store.gate.clear()
            await _acknowledge(client, cursor)
            assert edge.keeper is not None
            while not edge.keeper.waiting:
                await asyncio.sleep(0)
        while edge.closes.total() < 1:
            await asyncio.sleep(0)
        store.gate.set()
    assert store.positions == {PHONE: cursor}


async def test_while_the_database_is_away_who_needs_it_comes_back_and_others_go_on() -> None:
    """503, or 4001 on the WebSocket; a device that brings its cursor is taken in, and the edge is ready."""
    store = MemoryStore()
    store.away = "the database is gone"
    async with serving(sign_in=_signing_in(), store=store) as edge:
        status, sentence, retry_after = await refusal(edge, DEVICE, headers=[BEARER])
        assert (status, sentence) == (503, "Stored positions cannot be read now. Try again.\n")
        assert retry_after is not None
        assert int(retry_after) >= 2
        async with edge.connect(DEVICE, "postcast.v1", headers=[BEARER]) as client:
            with pytest.raises(ConnectionClosedError) as closed:
                await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4001
        assert " retry_after=" in closed.value.rcvd.reason
        async with edge.connect("?history=0") as nobody, _client(edge, f"{DEVICE}&cursor={before(Offset(0))}") as known:
            edge.feed.publish(1)
            assert (await posts(nobody, 1), await posts(known, 1)) == ([1], [1])
        assert (await edge.get("/readyz"))[0] == 200
        metrics = (await edge.get("/metrics"))[1]
        assert "postcast_edge_positions_reachable 0.0" in metrics


async def test_a_device_without_a_token_is_told_to_sign_in() -> None:
    """Where positions are stored. 401 and 4501: without a token it need not come back."""
    async with serving(sign_in=_signing_in(), store=MemoryStore()) as edge:
        assert (await refusal(edge, DEVICE))[0] == 401
        async with edge.connect(DEVICE, "postcast.v1") as client:
            with pytest.raises(ConnectionClosedError) as closed:
                await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4501
    async with serving() as edge, edge.connect(DEVICE) as client:
        assert (await _hear(client, "welcome"))["payload"]["recovered"] is True
