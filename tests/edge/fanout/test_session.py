"""One client, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.fanout.session import FELL_BEHIND, INTERRUPTED, SHUTDOWN, Place, Session
from edge.feed.position import Position
from edge.wire.closing import Disconnect
from edge.wire.encoding import Encoding
from edge.wire.websocket_encodings import CURSOR, CURSOR_DEFLATED, PLAIN, PLAIN_DEFLATED
from streams.contract import Offset
from tests.edge.kit.records import ids, log_of, messages, record

LIMIT = 1 << 16


def test_is_sent_what_follows_its_position() -> None:
    """Law 9: live, catching up and resuming are the same."""
    log = log_of(record(1, 2), record(3))
    session = Session(Position(1), PLAIN)
    assert ids(session.take(log, LIMIT)) == [2, 3]
    assert (session.position, session.sent) == (3, 2)
    assert session.take(log, LIMIT) == b""
    log.append(Offset(2), record(4))
    assert ids(session.take(log, LIMIT)) == [4]


@given(st.lists(st.lists(st.integers(1, 9), max_size=3), max_size=8), st.integers(1, 200))
def test_gets_each_post_once_however_it_is_served(feed: list[list[int]], limit: int) -> None:
    """A session that takes a little after each record, and the rest at the end, got the whole feed."""
    log, session, got = log_of(), Session(Position(0), PLAIN), b""
    for offset, posts in enumerate(feed):
        log.append(Offset(offset), record(*posts))
        got += session.take(log, limit)
    while session.position < log.head:
        got += session.take(log, limit)
    assert ids(got) == list(dict.fromkeys(post for posts in feed for post in posts))
    assert session.sent == log.head


def test_is_greeted_first_and_once() -> None:
    """A welcome comes before any post, also when there is none."""
    log = log_of()
    session = Session(Position(0), CURSOR, CURSOR.welcome("c"))
    assert session.is_greeted
    log.append(Offset(0), record(1))
    assert [message["action"] for message in messages(session.take(log, 1))] == ["welcome", "created"]
    assert not session.is_greeted
    assert session.take(log, LIMIT) == b""


def test_falls_out_of_the_log_and_is_told() -> None:
    """Law 11: what it was still to get is gone, so it ends with 4008 and is sent nothing more."""
    log = log_of(record(1), limit=2000)
    slow, quick = Session(Position(0), PLAIN), Session(log.head, PLAIN)
    for offset in range(1, 9):
        log.append(Offset(offset), record(offset + 1))
        assert ids(quick.take(log, LIMIT)) == [offset + 1]
    assert not slow.keeps_up(log)
    assert slow.take(log, LIMIT) == b""
    assert slow.disconnect == FELL_BEHIND
    assert quick.keeps_up(log)


def test_ends_once() -> None:
    """The first end counts, and nothing is sent after it."""
    log = log_of(record(1))
    session = Session(Position(0), PLAIN)
    session.end(SHUTDOWN)
    session.end(FELL_BEHIND)
    assert session.disconnect == SHUTDOWN
    assert session.take(log, LIMIT) == b""


@pytest.mark.parametrize("encoding", [CURSOR, CURSOR_DEFLATED])
def test_a_gap_in_the_feed_is_told_to_who_has_cursors(encoding: Encoding) -> None:
    """Law 12: it gets the reason and a new cursor, goes on at the head, and keeps no older greeting."""
    log = log_of(record(1))
    session = Session(Position(0), encoding, CURSOR.welcome("old"))
    log.begin(Offset(5), Offset(5))
    session.miss(log.head, CURSOR.welcome("new", "interrupted"))
    log.append(Offset(5), record(2))
    told, post = messages(session.take(log, LIMIT), encoding)
    assert told["payload"] == {"recovered": False, "reason": "interrupted", "cursor": "new"}
    assert post["payload"] == {"id": 2}
    assert session.sent == 1


@pytest.mark.parametrize("encoding", [PLAIN, PLAIN_DEFLATED])
def test_a_gap_in_the_feed_is_not_told_to_who_has_none(encoding: Encoding) -> None:
    """A plain client gets posts and nothing else; it goes on behind the gap."""
    log = log_of(record(1))
    session = Session(Position(0), encoding)
    log.begin(Offset(5), Offset(5))
    session.miss(log.head, CURSOR.welcome("new", "interrupted"))
    log.append(Offset(5), record(2))
    assert ids(session.take(log, LIMIT), encoding) == [2]
    assert (session.sent, session.disconnect) == (1, None)


def test_reasons_fit_into_a_close_frame() -> None:
    """RFC 6455 §5.5: 125 bytes with the code."""
    assert all(len(one.reason.encode()) <= 123 for one in (FELL_BEHIND, INTERRUPTED, SHUTDOWN))
    assert Disconnect(1001, "a") == Disconnect(1001, "a")


def test_the_posts_of_a_shared_place_count_from_when_a_session_came_there() -> None:
    """One counter for all that are there; each keeps what it was sent before, and none what the others were."""
    log = log_of(record(1, 2), record(3), record(4))
    first, second = Session(Position(0), PLAIN), Session(Position(0), PLAIN)
    shared = Place(Position(0))
    first.go_on_at(shared)
    shared.move_on(log.read(shared.position, PLAIN, 1))
    second.take(log, LIMIT)
    second.go_on_at(shared)
    shared.move_on(log.read(shared.position, PLAIN, LIMIT))
    first.go_on_at(Place(shared.position))
    shared.posts += 100
    assert (first.sent, second.sent) == (4, 4 + 3 + 100)
