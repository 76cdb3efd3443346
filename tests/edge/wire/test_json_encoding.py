"""Elements of an array, and the array that is made of them."""

import json

from edge.wire.encoding import Message
from edge.wire.json_encoding import JSON, array
from edge.wire.messages import welcome

MESSAGES = [Message(b'{"action":"created","payload":{"id":%d}}' % number, f"c{number}", number) for number in (1, 2, 3)]


def test_an_array_holds_the_messages_that_a_client_with_cursors_gets() -> None:
    for pieces in (JSON.each(MESSAGES), [b"".join(JSON.stream(MESSAGES))]):
        assert json.loads(array(pieces)) == [
            {"action": "created", "payload": {"id": number}, "cursor": f"c{number}", "window": number}
            for number in (1, 2, 3)
        ]


def test_nothing_makes_an_empty_array() -> None:
    assert array([]) == b"[]"


def test_a_notice_can_stand_between_two_messages() -> None:
    first, second, _ = JSON.each(MESSAGES)
    notice = welcome("c1", session="s", heartbeat=25)
    [_, told, _] = json.loads(array([first, JSON.notice(notice), second]))
    assert told == json.loads(notice.text)


def test_the_log_knows_that_nothing_refers_back() -> None:
    assert (JSON.name, JSON.has_cursor, JSON.stream_bytes) == ("json", True, 0)
