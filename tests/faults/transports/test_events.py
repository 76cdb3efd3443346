"""What events tell, and what of them is not taken."""

import json
from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
import pytest

from integration.faults.sight import Breach, Moved, Shown, Welcomed
from integration.faults.transports.events import EventConnection, check_head, told_of
from tests.events import Event, EventReader

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


def test_a_stream_has_its_type_and_no_chunks_and_a_refusal_a_length() -> None:
    head = {"Content-Type": "text/event-stream; charset=utf-8"}
    assert not check_head(200, head)
    assert check_head(200, {**head, "Content-Length": "3"})
    for status, headers, breach in [
        (503, head, "refused with 503"),
        (200, {"Content-Type": "text/html"}, "a stream of the type text/html"),
        (200, {**head, "Transfer-Encoding": "chunked"}, "a stream with Transfer-Encoding"),
    ]:
        with pytest.raises(Breach, match=breach):
            check_head(status, headers)


class Whole:
    """The body of an answer, as aiohttp gives it."""

    def __init__(self, body: bytes) -> None:
        self.content = self
        self._body = body

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield self._body


async def test_an_answer_with_a_length_tells_nothing_but_the_end() -> None:
    lines = "id: c1\nevent: {}\ndata: {}\n\n"
    end = {"action": "end", "payload": {"code": 4001, "reason": "later"}}
    for type_, message, ends in [("end", end, EOFError), ("heartbeat", BEAT, Breach)]:
        answer = cast(aiohttp.ClientResponse, Whole(lines.format(type_, json.dumps(message)).encode()))
        with pytest.raises(ends):
            assert [told async for told in EventConnection(answer, EventReader(), is_refusal=True).told()] == []
