"""What clients ask for, as it is read."""

import json
from typing import Any

import pytest
from msgspec import UNSET

from edge.wire.requests import MAX_AUTHORS, Ack, Filter, Refused, Request, Token, request_of

LARGEST = 2**53 - 1


def text(**members: Any) -> bytes:
    """Make a message of these members."""
    return json.dumps(members).encode()


@pytest.mark.parametrize("id_", [1, 0, LARGEST, -LARGEST, "", "a" * 64, "é" * 64])
def test_a_request_is_read_with_its_id(id_: int | str) -> None:
    """Members that are not known are ignored, beside the payload and in it."""
    asked = request_of(text(action="ack", id=id_, payload={"cursor": "c", "more": [1]}, more={}))
    assert asked == ("ack", Request(id_, Ack("c")))


def test_a_request_need_not_have_an_id() -> None:
    """Then its answer has none."""
    assert request_of(text(action="ack", payload={"cursor": "c"})) == ("ack", Request(UNSET, Ack("c")))


@pytest.mark.parametrize(
    ("message", "id_"),
    [
        (b"", UNSET),
        (b"nonsense", UNSET),
        (b"[]", UNSET),
        (b"[" * 60_000, UNSET),
        (b'{"action":"ack","payload":' + b"[" * 60_000, UNSET),
        (text(id=7), 7),
        (text(id="seven", action=None), "seven"),
        (text(action="ack", id=LARGEST + 1), UNSET),
        (text(action="ack", id=-LARGEST - 1), UNSET),
        (text(action="ack", id="a" * 65), UNSET),
        (text(action="ack", id=1.5), UNSET),
        (text(action="ack", id=True), UNSET),
        (text(action="ack", id=None), UNSET),
        (b'{"action":"ack","id":' + b"9" * 60_000 + b"}", UNSET),
        (b'{"action":"ack","id":"\\ud800"}', UNSET),
    ],
)
def test_what_is_no_request_is_a_bad_message(message: bytes, id_: object) -> None:
    """The error repeats the id where that is one."""
    action, refused = request_of(message)
    assert isinstance(refused, Refused)
    assert (action, refused.id, refused.code) == (None, id_, "bad_message")
    assert 0 < len(refused.sentence) <= 200


def test_an_action_that_is_not_known_is_said_so() -> None:
    """There may be more at another edge, which is newer."""
    assert request_of(text(action="dance", id=3)) == (
        None,
        Refused(3, "unknown_action", "there is no such action"),
    )


@pytest.mark.parametrize("payload", [{}, {"cursor": 1}, {"cursor": None}, [], None, "c"])
def test_a_payload_of_another_form_is_refused_by_the_action(payload: object) -> None:
    action, refused = request_of(text(action="ack", id=3, payload=payload))
    assert isinstance(refused, Refused)
    assert (action, refused.id, refused.code) == ("ack", 3, "bad_cursor")


@pytest.mark.parametrize("authors", [[], None, [7, 9, 7], [0, 2**63 - 1], [1] * MAX_AUTHORS])
def test_a_filter_is_read(authors: list[int] | None) -> None:
    asked = request_of(text(action="filter", id=1, payload={"authors": authors, "more": 1}))
    assert asked == ("filter", Request(1, Filter(authors)))


@pytest.mark.parametrize("payload", [{}, {"authors": 7}, {"authors": [2**63]}, {"authors": [1] * (MAX_AUTHORS + 1)}])
def test_what_is_no_filter_is_called_so(payload: object) -> None:
    action, refused = request_of(text(action="filter", id=1, payload=payload))
    assert isinstance(refused, Refused)
    assert (action, refused.id, refused.code) == ("filter", 1, "bad_filter")


def test_a_token_is_read_as_it_is() -> None:
    """Whether it is good is not asked here; what is none is refused without a word of it."""
    assert request_of(text(action="token", id=1, payload={"token": "a.b.c"})) == ("token", Request(1, Token("a.b.c")))
    payloads: tuple[object, ...] = ({}, {"token": 7}, {"token": None}, [], "a.b.c")
    for payload in payloads:
        action, refused = request_of(text(action="token", id=1, payload=payload))
        assert isinstance(refused, Refused)
        assert (action, refused.code, "a.b.c" in refused.sentence) == ("token", "token_refused", False)
