"""What a client is told of where it stands."""

from typing import Any

import pytest

from edge.access.grant import Grant
from edge.fanout.greetings import greet, missed
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.position import Position, Reason, before
from edge.positions.device import Device, Key
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import Offset
from tests.edge.kit.records import at, log_of, messages, record


def told(
    log: Log, position: Position, gap: Reason | None = None, seen: Position | None = None
) -> tuple[dict[str, Any], Position | None]:
    """Greet a client there; return what it is told, and where it will have caught up."""
    session = Session(position, CURSOR, id="5e")
    greet(session, log, 25, gap=gap, seen=seen)
    (one,) = messages(session.progress.greeting)
    assert (one["payload"]["session"], one["payload"]["heartbeat"]) == ("5e", 25)
    assert session.position == position
    return one["payload"], session.progress.target


def test_a_client_without_cursors_is_told_nothing() -> None:
    log = log_of(record(1))
    session = Session(log.tail, PLAIN)
    greet(session, log, 25)
    assert (session.progress.greeting, session.progress.target) == (b"", None)


@pytest.mark.parametrize(
    ("position", "behind"),
    [(at(0, 0), 4), (at(0, 1), 4), (at(0, 2), 3), (at(2, 1), 1), (at(3, 1), 0)],
)
def test_behind_counts_records_up_to_the_end_as_it_is_now(position: Position, behind: int) -> None:
    """A record of which a part was seen counts; so does one that shows nothing. At the end nothing is to be told."""
    log = log_of(record(1, 2), record(), record(3), record(3))
    assert log.head == at(3, 1)
    payload, target = told(log, position)
    assert (payload["behind"], payload["cursor"]) == (behind, str(log.cursor_at(position)))
    assert target == (log.head if behind else None)


def test_records_that_are_no_place_are_not_waited_for() -> None:
    """Nothing stands behind them: who is before them is at the end."""
    log = log_of(record(1), record(), record())
    assert told(log, at(0, 1)) == (told(log, log.head)[0], None)


@pytest.mark.parametrize(
    ("gap", "seen", "lost"),
    [
        ("expired", at(2, 1), {"records": 6}),
        ("interrupted", before(Offset(2)).position, {"records": 7}),
        ("interrupted", at(9, 1), None),
        ("recreated", at(2, 1), None),
        ("unknown", at(20, 1), None),
        ("invalid", None, None),
    ],
)
def test_what_was_lost_is_counted_where_it_can_be(
    gap: Reason, seen: Position | None, lost: dict[str, int] | None
) -> None:
    """In the same feed, from the first record of which nothing was seen to the first that comes."""
    payload, _ = told(log_of(record(1), first=9), at(9, 0), gap, seen)
    assert (payload["recovered"], payload["reason"], payload.get("lost")) == (False, gap, lost)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("expired", "interrupted", (3, "interrupted")),
        ("interrupted", "recreated", (3, "recreated")),
        ("recreated", "interrupted", (3, "recreated")),
        ("unknown", "expired", (3, "unknown")),
    ],
)
def test_a_gap_that_was_not_told_is_missed_with_the_next_one(
    first: Reason, second: Reason, told: tuple[int, Reason]
) -> None:
    """From what the client has seen on; where that is of another feed, that is why."""
    log = log_of(record(1), first=9)
    session = Session(Position(7), CURSOR)
    assert missed(session, second) == (7, second)
    greet(session, log, 25, gap=first, seen=Position(3))
    assert missed(session, second) == told
    session.progress.greeting = b""
    assert missed(session, second) == (7, second)
    greet(session, log, 25)
    assert missed(session, second) == (7, second)


def test_a_position_that_the_log_has_forgotten_is_told_the_oldest_cursor() -> None:
    """The client is ended in its turn; see :mod:`edge.fanout.hub`."""
    log = log_of(*(record(post) for post in range(20)), limit=4000)
    assert told(log, at(0, 1))[0]["cursor"] == str(log.cursor_at(log.tail))


def test_a_welcome_says_when_the_token_expires() -> None:
    """And nothing of it where there is no token, or one without an end."""
    log = log_of(record(1))
    for grant, told in (
        (None, {}),
        (Grant("7", None, None), {}),
        (Grant("7", None, 1704067200.9), {"expires_at": "2024-01-01T00:00:00Z"}),
    ):
        session = Session(log.tail, CURSOR, id="5e", grant=grant)
        greet(session, log, 25)
        payload = messages(session.progress.greeting)[0]["payload"]
        assert {name: payload[name] for name in ("expires_at",) if name in payload} == told


def test_the_device_of_a_client_that_is_told_of_a_gap_knows_it() -> None:
    """Its next position takes the place of what is stored; without a gap it moves forward."""
    log = log_of(record(1))
    device = Device(Key("alice", "phone"), "stored")
    session = Session(log.tail, CURSOR, device=device)
    greet(session, log, 25)
    assert device.take_refuted() == ""
    greet(session, log, 25, gap="recreated")
    assert device.take_refuted() == "stored"


@pytest.mark.parametrize(
    ("gap", "seen", "refuted"),
    [
        ("expired", at(2, 1), ""),
        ("interrupted", at(9, 0), ""),
        ("interrupted", at(9, 1), "stored"),
        ("expired", None, "stored"),
        ("recreated", at(2, 1), "stored"),
    ],
)
def test_a_device_that_goes_forward_behind_a_gap_keeps_what_is_stored(
    gap: Reason, seen: Position | None, refuted: str
) -> None:
    """Another connection of it may have stored that, and was told of no gap."""
    device = Device(Key("alice", "phone"), "stored")
    greet(Session(at(9, 0), CURSOR, device=device), log_of(record(1), first=9), 25, gap=gap, seen=seen)
    assert device.take_refuted() == refuted
