"""The JSON of what the edge says."""

import json

import pytest
from msgspec import UNSET

from edge.wire.forms import Why
from edge.wire.messages import (
    acked,
    authorized,
    caught_up,
    error,
    expiring,
    filtered,
    heartbeat,
    message,
    welcome,
    with_cursor,
)
from edge.wire.requests import Id, Refused
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
    ("gap", "lost", "payload"),
    [
        (None, None, {"recovered": True}),
        ("expired", None, {"recovered": False, "reason": "expired"}),
        ("expired", 0, {"recovered": False, "reason": "expired", "lost": {"records": 0}}),
    ],
)
def test_welcome_says_where_a_client_stands(gap: Why | None, lost: int | None, payload: dict[str, object]) -> None:
    """A reason is given when, and only when, something was lost; how much, where that is known."""
    told = welcome("c", session="5e", heartbeat=25.0, behind=3, gap=gap, lost=lost)
    always = {"cursor": "c", "session": "5e", "heartbeat": 25, "behind": 3}
    assert json.loads(told.text) == {"action": "welcome", "payload": {**payload, **always}}
    assert (told.action, told.cursor) == ("welcome", "c")


@pytest.mark.parametrize(("seconds", "text"), [(25.0, b'"heartbeat":25,'), (0.5, b'"heartbeat":0.5,')])
def test_seconds_have_a_fraction_where_there_is_one(seconds: float, text: bytes) -> None:
    assert text in welcome("c", session="5e", heartbeat=seconds).text


@pytest.mark.parametrize(("id_", "told"), [(7, {"id": 7}), ("a", {"id": "a"}), (UNSET, {})])
def test_answers_have_the_id_of_the_request(id_: Id, told: dict[str, object]) -> None:
    """They have no place in the feed."""
    for answer, action, payload in (
        (acked(id_, "c"), "acked", {"position": "c"}),
        (error(Refused(id_, "busy", "later")), "error", {"code": "busy", "message": "later"}),
        (authorized(id_, None), "authorized", {}),
        (authorized(id_, 1704067200.0), "authorized", {"expires_at": "2024-01-01T00:00:00Z"}),
    ):
        assert (answer.action, answer.cursor) == (action, "")
        assert json.loads(answer.text) == {"action": action, **told, "payload": payload}


def test_caught_up_and_heartbeat_have_their_cursor_beside_the_action() -> None:
    """As posts have it; in a welcome it stands in the payload."""
    assert caught_up("c") == ("caught_up", b'{"action":"caught_up","payload":{},"cursor":"c"}', "c")
    text = b'{"action":"heartbeat","payload":{"time":"2024-01-01T00:00:00Z"},"cursor":"c"}'
    assert heartbeat("c", 1704067200) == ("heartbeat", text, "c")


@pytest.mark.parametrize(("id", "known"), [(7, {"id": 7}), ("a", {"id": "a"}), (UNSET, {})])
def test_filtered_has_its_place_in_the_feed(id: Id, known: dict[str, object]) -> None:  # noqa: A002
    """Its cursor stands beside the action, as that of posts, and goes with the notice."""
    notice = filtered(id, 2, "c")
    assert json.loads(notice.text) == {"action": "filtered", **known, "payload": {"authors": 2}, "cursor": "c"}
    assert (notice.action, notice.cursor) == ("filtered", "c")


@pytest.mark.parametrize(
    ("seconds", "time"),
    [
        (1704067200, "2024-01-01T00:00:00Z"),
        (1704067200.999, "2024-01-01T00:00:00Z"),
        (0, "1970-01-01T00:00:00Z"),
        # The last that a token may have: there is no way to write years of five digits.
        (253402300799.0, "9999-12-31T23:59:59Z"),
    ],
)
def test_a_token_expires_at_a_time_that_can_be_read(seconds: float, time: str) -> None:
    """Where it stands goes with the notice, and not into the message: a client keeps no cursor of it."""
    assert expiring(seconds, "c") == (
        "expiring",
        b'{"action":"expiring","payload":{"expires_at":"%b"}}' % time.encode(),
        "c",
    )
    assert (
        json.loads(welcome("c", session="5e", heartbeat=25, expires_at=seconds).text)["payload"]["expires_at"] == time
    )
