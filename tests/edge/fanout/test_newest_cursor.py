"""A client that is killed after any message, and resumes by the newest cursor that it has got, misses nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clients.joining import JoinRequest, Terms, at_end, resumed, resumption
from edge.feed.log import Log
from edge.feed.position import Cursor, Resume, parse
from edge.wire.encoding import Encoding
from edge.wire.event_encodings import EVENTS
from edge.wire.websocket_encodings import CURSOR, CURSOR_DEFLATED
from tests.edge.kit.lines import Line, Turns, hub_of
from tests.edge.kit.records import everything, ids, log_of, messages, record

TERMS = Terms("s", 25)
# Records of new posts, of none, and of posts that were there before.
records = st.lists(st.lists(st.integers(1, 12), max_size=3), max_size=8)
# A record, or some seconds, or a socket that takes what it holds.
happenings = st.lists(st.lists(st.integers(1, 12), max_size=3) | st.sampled_from([1, 26, 55]) | st.none(), max_size=12)


def newest_cursor(received: list[Any]) -> Cursor:
    """Return the cursor that a client keeps."""
    cursors = [message.get("cursor") or message["payload"]["cursor"] for message in received]
    assert cursors == sorted(cursors)
    found = parse(cursors[-1])
    assert isinstance(found, Cursor)
    return found


def received_of(log: Log, history: int, happens: list[Any], encoding: Encoding, room: float) -> list[Any]:
    """Return what a client receives that joins with a history, whatever happens then."""
    turns = Turns()
    hub, line = hub_of(log, turns, write_bytes=90), Line(turns, room)
    assert log.next_offset is not None
    hub.join(at_end(JoinRequest(encoding, history=history), log, log.next_offset, TERMS), line)
    for one in happens:
        line.heard = turns.now
        if isinstance(one, list):
            log.append(log.next_offset, record(*one))
            hub.publish()
        elif one is not None:
            turns.sleep(one)
        elif line.unsent_since is not None:
            line.drain(room)
    turns.rest()
    while line.unsent_since is not None:
        line.drain()
        turns.rest()
    return messages(b"".join(line.written), encoding)


encodings: st.SearchStrategy[Encoding] = st.sampled_from([CURSOR, CURSOR_DEFLATED, EVENTS])


@given(records, st.integers(0, 9), happenings, encodings, st.sampled_from([200, 1e9]))
def test_a_client_that_is_killed_after_any_message_misses_nothing(
    before: list[list[int]], history: int, happens: list[Any], encoding: Encoding, room: float
) -> None:
    """Whatever that message was: a welcome, a post, ``caught_up`` or a heartbeat. It also gets nothing twice."""
    log = log_of(*(record(*posts) for posts in before))
    shown = len(ids(everything(log, log.tail)))
    received = received_of(log, history, happens, encoding, room)
    due = ids(everything(log, log.tail))[max(0, shown - history) :]
    assert [one["payload"]["id"] for one in received if one["action"] == "created"] == due
    for killed_after in range(1, len(received) + 1):
        got = [one["payload"]["id"] for one in received[:killed_after] if one["action"] == "created"]
        asked = JoinRequest(CURSOR, cursor=newest_cursor(received[:killed_after]))
        found = resumption(asked, log)
        assert isinstance(found, Resume)
        assert got + ids(everything(log, resumed(asked, log, found, TERMS).position)) == due


@given(records, st.integers(0, 9), happenings)
def test_caught_up_comes_once_behind_the_end_as_it_was_and_not_at_all_when_nothing_was_behind(
    before: list[list[int]], history: int, happens: list[Any]
) -> None:
    """Everything that was there at the joining comes before it."""
    log = log_of(*(record(*posts) for posts in before))
    there, end = ids(everything(log, log.back(log.head, history))), str(log.cursor_at(log.head))
    received = received_of(log, history, happens, CURSOR, 1e9)
    actions = [one["action"] for one in received]
    assert actions[0] == "welcome"
    assert actions.count("welcome") == 1
    if not received[0]["payload"]["behind"]:
        assert "caught_up" not in actions
        assert there == []
        return
    place = actions.index("caught_up")
    assert actions.count("caught_up") == 1
    assert received[place]["cursor"] >= end
    assert [one["payload"]["id"] for one in received[:place] if one["action"] == "created"][: len(there)] == there


@pytest.mark.parametrize("room", [200, 1e9])
def test_heartbeats_come_in_the_stream(room: float) -> None:
    """25 s after the last message, whichever that was; while bytes are unsent none comes, and then the posts do."""
    log = log_of(record(1))
    received = received_of(log, 0, [26, [2], [3], 24, 2, None, 24, None, 2], CURSOR, room)
    assert [one["payload"].get("id", one["action"]) for one in received] == (
        ["welcome", "heartbeat", 2, 3, "heartbeat", "heartbeat"]
        if room == 1e9
        else ["welcome", "heartbeat", 2, 3, "heartbeat"]
    )
