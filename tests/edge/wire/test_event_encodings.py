"""Messages as Server-Sent Events, read back by the standard's own algorithm."""

import json

import pytest

from edge.wire.encoding import Message, Notice
from edge.wire.event_encodings import EVENTS, retry
from edge.wire.messages import end, message, welcome, with_cursor
from tests.edge.kit.records import publication
from tests.events import Event, EventReader, events

SOME = [Message(message(publication(n, text="ü")), f"token{n}", 5000 * n) for n in range(1, 4)]


def test_an_event_is_written_like_this() -> None:
    """A post is a message without its cursor, which is the event's id."""
    assert EVENTS.each([Message(b'{"action":"created","payload":{"id":1}}', "c", 5000)]) == [
        b'id: c\ndata: {"action":"created","payload":{"id":1},"window":5000}\n\n'
    ]
    assert EVENTS.notice(end(1001, "goodbye", "c")) == (
        b'id: c\nevent: end\ndata: {"action":"end","payload":{"code":1001,"reason":"goodbye"}}\n\n'
    )


def test_a_client_gets_what_a_websocket_gets() -> None:
    """The same members; only the cursor stands elsewhere."""
    read = events(b"".join(EVENTS.each(SOME)))
    assert [each.type for each in read] == ["message"] * 3
    assert [each.message | {"cursor": each.last_event_id} for each in read] == [
        json.loads(with_cursor(*each)) for each in SOME
    ]
    assert EVENTS.stream(SOME) == EVENTS.each(SOME)


def test_every_event_has_data_and_a_position() -> None:
    """Without data Firefox forgets the position, and no client is told of the event."""
    notice = welcome("c", session="s", heartbeat=25)
    assert events(EVENTS.notice(notice)) == [Event("welcome", notice.text.decode(), "c")]


def test_an_event_without_a_cursor_leaves_the_position_as_it_is() -> None:
    """An ``id`` that is empty would be one: the client would begin anew."""
    read = events(EVENTS.each(SOME)[0] + EVENTS.notice(Notice("end", b"{}")))
    assert [each.last_event_id for each in read] == ["token1", "token1"]


@pytest.mark.parametrize("between", [b"\n", b"\r", b"\r\n", b"\n\n"])
def test_a_payload_of_several_lines_is_one_message(between: bytes) -> None:
    """JSON may have line breaks between its parts; the end of a line is the end of a field here."""
    text = b'{"action":"created","payload":{"id":%b1}}' % between
    [event] = events(EVENTS.each([Message(text, "c", 5)])[0])
    assert event.message == {"action": "created", "payload": {"id": 1}, "window": 5}


def test_the_time_to_wait_is_in_milliseconds_and_no_event() -> None:
    reader = EventReader()
    assert reader.feed(retry(1.2345)) == []
    assert reader.retry == 1234


def test_the_encoding_has_a_name_and_cursors_and_no_streams() -> None:
    assert (EVENTS.name, EVENTS.has_cursor, EVENTS.stream_bytes) == ("events", True, 0)
