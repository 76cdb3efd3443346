"""Frames, as websockets' own parser reads them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from edge.wire.frames import PING, Form, deflated_frame, message, message_of, text_frame, welcome, with_cursor
from streams.contract import decode_feed
from tests.edge.kit.records import GOLDEN, frames, messages, publication


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_each_length_is_one_whole_text_frame(length: int) -> None:
    """RFC 6455 §5.2: the three ways to write a length, on both sides of where they change."""
    payload = b"x" * length
    frame = text_frame(payload)
    assert [(one.opcode, one.fin, one.data) for one in frames(frame)] == [(Opcode.TEXT, True, payload)]
    assert message_of(frame) == payload


@pytest.mark.parametrize("length", [0, 125, 126, 65535, 65536])
def test_a_deflated_frame_differs_in_rsv1_alone(length: int) -> None:
    """RFC 7692 §6: that bit says that the message is compressed."""
    payload = b"x" * length
    assert deflated_frame(payload) == b"\xc1" + text_frame(payload)[1:]


def test_forms_are_a_message_compressed_or_not() -> None:
    """Four of them, and each leads to the others."""
    assert [(form.has_cursor, form.is_deflated, form.text, form.deflated) for form in Form] == [
        (False, False, Form.PLAIN, Form.PLAIN_DEFLATED),
        (True, False, Form.CURSOR, Form.CURSOR_DEFLATED),
        (False, True, Form.PLAIN, Form.PLAIN_DEFLATED),
        (True, True, Form.CURSOR, Form.CURSOR_DEFLATED),
    ]


@given(st.lists(st.text()))
def test_joined_frames_are_the_messages_in_order(texts: list[str]) -> None:
    """Frames end where they say: what is joined comes apart again."""
    joined = b"".join(text_frame(text.encode()) for text in texts)
    assert [bytes(frame.data).decode() for frame in frames(joined)] == texts


def test_ping_is_a_ping() -> None:
    """A ping is a control frame without payload."""
    assert [(one.opcode, one.fin, one.data) for one in frames(PING)] == [(Opcode.PING, True, b"")]


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


def test_cursor_stands_beside_action_and_payload() -> None:
    """The payload is not touched when a cursor is added."""
    plain = message(publication(7))
    assert with_cursor(plain, "t-_0") == b'{"action":"created","payload":{"id":7},"cursor":"t-_0"}'


@pytest.mark.parametrize(
    ("gap", "payload"),
    [
        (None, {"recovered": True, "cursor": "c"}),
        ("expired", {"recovered": False, "cursor": "c", "reason": "expired"}),
    ],
)
def test_welcome_says_where_a_client_stands(gap: str | None, payload: dict[str, object]) -> None:
    """A reason is given when, and only when, something was lost."""
    assert messages(welcome("c", gap)) == [{"action": "welcome", "payload": payload}]
