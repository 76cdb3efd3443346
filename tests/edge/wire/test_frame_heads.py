"""The head of a client's frame, byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from edge.wire.allowance import Violation
from edge.wire.closing import Disconnect
from edge.wire.events import Broken
from edge.wire.frame_heads import Head, head_of

MASK = bytes(4)


def head(data: bytes, *, is_deflated: bool = False, is_message_open: bool = False, at: int = 0) -> Head | None:
    """Read one."""
    return head_of(data, at, is_deflated=is_deflated, is_message_open=is_message_open)


@given(
    size=st.integers(0, 300) | st.sampled_from([125, 126, 65535, 65536, 70000]),
    opcode=st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT]),
    before=st.binary(max_size=9),
)
def test_it_says_where_the_payload_is_once_it_is_complete(size: int, opcode: Opcode, before: bytes) -> None:
    sent = before + Frame(opcode, bytes(size)).serialize(mask=True)
    is_open, at = opcode is Opcode.CONT, len(before)
    found = head(sent, is_message_open=is_open, at=at)
    assert found == Head(len(sent) - size, size)
    for end in range(at, len(sent) - size):
        assert head(sent[:end], is_message_open=is_open, at=at) is None


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG, Opcode.CLOSE])
@pytest.mark.parametrize("is_message_open", [True, False], ids=["inside a message", "between two"])
def test_a_control_frame_may_be_anywhere(opcode: Opcode, is_message_open: bool) -> None:
    assert head(bytes([0x80 | opcode, 0xFD]) + MASK, is_message_open=is_message_open) == Head(6, 125)


@pytest.mark.parametrize(
    ("sent", "is_message_open", "reason"),
    [
        (b"\x83\x80", False, "an opcode that is reserved"),
        (b"\xbb\x80", False, "an opcode that is reserved"),
        (b"\xa1\x80", False, "a reserved bit that was not agreed on"),
        (b"\xc9\x80", False, "a reserved bit that was not agreed on"),
        (b"\xc0\x80", True, "a reserved bit that was not agreed on"),
        (b"\x81\x00", False, "a frame that is not masked"),
        (b"\x09\x80", False, "a control frame in fragments"),
        (b"\x89\xfe", False, "a control frame of more than 125 bytes"),
        (b"\x80\x80", False, "a message must end before the next one begins"),
        (b"\x81\x80", True, "a message must end before the next one begins"),
        (b"\x81\xfe\x00\x7d", False, "a length in more bytes than it takes"),
        (b"\x81\xff" + (65535).to_bytes(8), False, "a length in more bytes than it takes"),
        (b"\x81\xff" + (1 << 63).to_bytes(8), False, "a length of more than 63 bits"),
    ],
)
def test_what_is_wrong_is_said_as_soon_as_it_is_here(sent: bytes, is_message_open: bool, reason: str) -> None:
    """Whether compression was agreed on or not; and not a byte before."""
    for is_deflated in (True, False):
        with pytest.raises(Broken) as error:
            head(sent, is_deflated=is_deflated, is_message_open=is_message_open)
        assert error.value.violation == Violation(None, Disconnect(1002, reason))
        assert head(sent[:1] if len(sent) == 2 else sent[:-1], is_message_open=is_message_open) is None


def test_the_first_frame_of_a_message_may_say_that_it_is_compressed() -> None:
    """Where that was agreed on."""
    assert head(b"\xc1\x80" + MASK, is_deflated=True) == Head(6, 0)
    with pytest.raises(Broken):
        head(b"\xc1\x80" + MASK)
