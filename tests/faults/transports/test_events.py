"""What events tell, and what of them is not taken."""

import json
from typing import Any

import pytest

from integration.faults.sight import Breach, Moved, Shown, Welcomed
from integration.faults.transports.events import check_head, told_of
from tests.events import Event

POST = {"action": "created", "payload": {"id": 7}, "window": 0}
WELCOME = {"action": "welcome", "payload": {"recovered": True, "cursor": "c1"}}
BEAT = {"action": "heartbeat", "payload": {}, "cursor": "c1"}


def event(type_: str, message: dict[str, Any], id_: str = "c1", *, has_id: bool = True) -> Event:
    return Event(type_, json.dumps(message), id_, has_id)


@pytest.mark.parametrize(
    ("type_", "message", "told"),
    [
        ("welcome", WELCOME, Welcomed("c1", is_recovered=True)),
        ("message", POST, Shown(7, "c1")),
        ("heartbeat", BEAT, Moved("c1")),
        ("end", {"action": "end", "payload": {"code": 1001, "reason": "why"}}, None),
    ],
)
def test_an_events_id_is_the_place(type_: str, message: dict[str, Any], told: object) -> None:
    assert told_of(event(type_, message)) == told


@pytest.mark.parametrize(
    ("given", "breach"),
    [
        (event("message", POST, has_id=False), "the event message has no id"),
        (event("message", BEAT), "the event message has a message heartbeat"),
        (event("welcome", WELCOME, "c0"), "the welcome of c1 has the id c0"),
        (event("end", {"payload": {"code": 4500, "reason": "why"}}), "not to come back: 4500 why"),
    ],
)
def test_what_is_against_the_protocol_is_not_taken(given: Event, breach: str) -> None:
    with pytest.raises(Breach, match=breach):
        told_of(given)


def test_an_end_may_be_without_an_id() -> None:
    end = event("end", {"payload": {"code": 4008, "reason": "why"}}, has_id=False)
    assert told_of(end) is None


def test_a_stream_has_its_type_and_no_length() -> None:
    head = {"Content-Type": "text/event-stream; charset=utf-8"}
    check_head(200, head)
    for status, headers, breach in [
        (503, head, "refused with 503"),
        (200, {"Content-Type": "text/html"}, "a stream of the type text/html"),
        (200, {**head, "Content-Length": "3"}, "a stream with Content-Length"),
    ]:
        with pytest.raises(Breach, match=breach):
            check_head(status, headers)
