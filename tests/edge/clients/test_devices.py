"""Where a device goes on: behind its cursor, else at what it has acknowledged, else as if it were none."""

from dataclasses import replace

import pytest

from edge.access.grant import Grant
from edge.clients.devices import Devices
from edge.clients.joining import JoinRequest
from edge.feed.position import Cursor, Gap, before
from edge.positions.device import Key
from edge.positions.keeper import Keeper
from edge.positions.store import Row
from edge.wire.handshake import Rejected
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Offset
from tests.edge.kit.positions import MemoryStore

ALICE = Grant("alice", None, None)
PHONE = Key("alice", "phone")
SEEN = before(Offset(7))
ASKED = JoinRequest(CURSOR, history=5, grant=ALICE, device="phone")


async def _placed(asked: JoinRequest, store: MemoryStore, *, seconds: float = 5) -> JoinRequest | Rejected:
    return await Devices(Keeper(store, seconds=2), seconds=seconds).placed(asked)


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
