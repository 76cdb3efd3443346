"""Frames, as websockets' own parser reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from edge.wire.frames import PING, deflated_frame, text_frame
from tests.edge.kit.records import frames


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_each_length_is_one_whole_text_frame(length: int) -> None:
    """RFC 6455 §5.2: the three ways to write a length, on both sides of where they change."""
    payload = b"x" * length
    frame = text_frame(payload)
    assert [(one.opcode, one.fin, one.data) for one in frames(frame)] == [(Opcode.TEXT, True, payload)]


@pytest.mark.parametrize("length", [0, 125, 126, 65535, 65536])
def test_a_deflated_frame_differs_in_rsv1_alone(length: int) -> None:
    """RFC 7692 §6: that bit says that the message is compressed."""
    payload = b"x" * length
    assert deflated_frame(payload) == b"\xc1" + text_frame(payload)[1:]


@given(st.lists(st.text()))
def test_joined_frames_are_the_messages_in_order(texts: list[str]) -> None:
    """Frames end where they say: what is joined comes apart again."""
    joined = b"".join(text_frame(text.encode()) for text in texts)
    assert [bytes(frame.data).decode() for frame in frames(joined)] == texts


def test_ping_is_a_ping() -> None:
    """A ping is a control frame without payload."""
    assert [(one.opcode, one.fin, one.data) for one in frames(PING)] == [(Opcode.PING, True, b"")]
