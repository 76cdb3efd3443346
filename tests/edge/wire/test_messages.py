"""The JSON of what the edge says."""

import json

import pytest

from edge.wire.messages import message, welcome, with_cursor
from streams.contract import decode_feed
from tests.edge.kit.records import GOLDEN, publication


def test_message_is_the_replaced_services_own() -> None:
    """The golden feed record becomes the golden message of a client, byte for byte."""
    (one,) = decode_feed((GOLDEN / "feed_record.json").read_bytes()).publications
    assert message(one) == (GOLDEN / "client_message.json").read_bytes()


def test_action_is_escaped() -> None:
    """An action is text from the feed: it cannot end its own string."""
    assert json.loads(message(publication(1, action='a","payload":"b'))) == {
        "action": 'a","payload":"b',
        "payload": {"id": 1},
    }


def test_cursor_and_window_stand_beside_action_and_payload() -> None:
    """The payload is not touched when they are added."""
    plain = message(publication(7))
    assert with_cursor(plain, "t-_0", 5000) == (
        b'{"action":"created","payload":{"id":7},"cursor":"t-_0","window":5000}'
    )


@pytest.mark.parametrize(
    ("gap", "payload"),
    [
        (None, {"recovered": True, "cursor": "c"}),
        ("expired", {"recovered": False, "cursor": "c", "reason": "expired"}),
    ],
)
def test_welcome_says_where_a_client_stands(gap: str | None, payload: dict[str, object]) -> None:
    """A reason is given when, and only when, something was lost."""
    told = welcome("c", gap)
    assert json.loads(told.text) == {"action": "welcome", "payload": payload}
    assert (told.action, told.cursor) == ("welcome", "c")
