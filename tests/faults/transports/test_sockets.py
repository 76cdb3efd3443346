"""What a WebSocket's messages tell."""

from typing import Any

import pytest

from integration.faults.sight import Breach, Filtered, Moved, Shown, Welcomed
from integration.faults.transports.sockets import Asked, retry_after, told_of

POST = {"action": "created", "payload": {"id": 7}, "window": 0}
WELCOME = {"action": "welcome", "payload": {"recovered": True, "cursor": "c1"}}
BEAT = {"action": "heartbeat", "payload": {}, "cursor": "c3"}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (WELCOME, Welcomed("c1", is_recovered=True)),
        ({**POST, "cursor": "c2"}, Shown(7, "c2")),
        (BEAT, Moved("c3")),
    ],
)
def test_a_message_tells_a_place(message: dict[str, Any], told: object) -> None:
    assert told_of(message, asks=True) == told


def test_a_plain_client_is_sent_posts_and_nothing_else() -> None:
    assert told_of(POST, asks=False) == Shown(7)
    for message in (WELCOME, BEAT, {**POST, "cursor": "c2"}):
        with pytest.raises(Breach, match="a plain client was sent"):
            told_of(message, asks=False)


ASKED = Asked(3, frozenset({7, 9}))
FILTERED = {"action": "filtered", "id": 3, "payload": {"authors": 2}, "cursor": "c4"}
BUSY = {"action": "error", "id": 3, "payload": {"code": "busy", "message": "later"}}


def test_a_choice_is_answered_or_refused_for_now() -> None:
    assert told_of(FILTERED, asks=True, asked=ASKED) == Filtered(frozenset({7, 9}), "c4")
    assert told_of(BUSY, asks=True, asked=ASKED) is None


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        (FILTERED, None),
        (BUSY, None),
        ({**FILTERED, "id": 2}, ASKED),
        ({**FILTERED, "payload": {"authors": 3}}, ASKED),
        ({**BUSY, "payload": {"code": "bad_filter", "message": "why"}}, ASKED),
    ],
)
def test_other_answers_are_against_the_protocol(message: dict[str, Any], asked: Asked | None) -> None:
    with pytest.raises(Breach):
        told_of(message, asks=True, asked=asked)


def test_a_reason_may_say_when_to_come_back() -> None:
    assert retry_after("the server is full; retry_after=3.7") == 3.7
    assert retry_after("retry_after=5") == 5
    assert retry_after("the server shuts down") is None
