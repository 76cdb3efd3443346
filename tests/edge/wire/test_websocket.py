"""What a client says: events, wherever the bytes are cut, and a last one when it breaks a rule."""

import tracemalloc
import zlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from edge.wire.allowance import BYTES, FRAGMENTS, MESSAGES, PINGS, SIZE, Traffic, Violation
from edge.wire.deflate import deflated
from edge.wire.events import Close, Event, Message, Ping, Pong, TooBig
from edge.wire.websocket import Reader
from tests.edge.kit.cutting import cut
from tests.fuzz.corpus import inputs, mutated

TRAFFIC = Traffic(messages=64, bytes=1 << 20, pings=64, message_bytes=1 << 16, fragments=64)
NOW = 1000.0
WHOLE, BEGIN, MIDDLE, END = 0xC1, 0x41, 0x00, 0x80


def read(
    *pieces: bytes, is_deflated: bool = False, skips_large: bool = False, traffic: Traffic = TRAFFIC
) -> list[Event]:
    """Feed a new reader at one moment."""
    reader = Reader(traffic, is_deflated=is_deflated, skips_large=skips_large)
    return [event for piece in pieces for event in reader.feed(piece, NOW)]


def masked(opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """Make a frame as a client sends it."""
    return Frame(opcode, payload, fin=fin).serialize(mask=True)


def frame(first: int, payload: bytes = b"") -> bytes:
    """Make a frame that begins with this byte, masked with zeros: the payload stays what it is."""
    length = len(payload)
    assert length < 1 << 16
    head = bytes([first, 0x80 | length]) if length < 126 else bytes([first, 0xFE, *length.to_bytes(2)])
    return head + bytes(4) + payload


def compressed(message: bytes) -> bytes:
    """Compress a message as a client does that keeps no context."""
    (payload,) = deflated([message])
    return payload


def split(payload: bytes) -> tuple[bytes, bytes, bytes]:
    """Cut a payload in three."""
    third = len(payload) // 3
    return payload[:third], payload[third : 2 * third], payload[2 * third :]


def code_of(event: Event) -> int:
    """Return the close code of a violation."""
    assert isinstance(event, Violation)
    return event.disconnect.code


payloads = st.integers(0, 300).map(bytes) | st.sampled_from([bytes(125), bytes(126), bytes(65535), bytes(65536)])
sent_messages = st.builds(
    lambda text, payload: (masked(Opcode.TEXT if text else Opcode.BINARY, payload), Message(payload, is_text=text)),
    st.booleans(),
    payloads,
)
sent_controls = st.builds(
    lambda kind, payload: (masked(kind, payload), Ping(payload) if kind is Opcode.PING else Pong(payload)),
    st.sampled_from([Opcode.PING, Opcode.PONG]),
    st.binary(max_size=125),
)


@given(sent=st.lists(sent_messages | sent_controls, max_size=8), places=st.lists(st.integers(0)))
@settings(deadline=None)  # no test asserts a speed
def test_what_is_sent_by_the_rules_is_understood_wherever_it_is_cut(
    sent: list[tuple[bytes, Event]], places: list[int]
) -> None:
    close = masked(Opcode.CLOSE, b"\x03\xe8why") + b"anything"
    data = b"".join(each for each, _ in sent) + close
    assert read(*cut(data, places)) == [*(event for _, event in sent), Close(1000, "why")]


@given(data=mutated("client_frame"), places=st.lists(st.integers(0)), is_deflated=st.booleans())
@settings(deadline=None, max_examples=500)  # no test asserts a speed
def test_any_bytes_give_the_same_events_wherever_they_are_cut(
    data: bytes, places: list[int], is_deflated: bool
) -> None:
    """And byte by byte; the last one is the only close or violation."""
    whole = read(data, is_deflated=is_deflated)
    assert read(*cut(data, places), is_deflated=is_deflated) == whole
    assert read(*(data[at : at + 1] for at in range(len(data))), is_deflated=is_deflated) == whole
    assert not any(isinstance(event, Close | Violation) for event in whole[:-1])


def test_every_input_that_was_ever_worth_keeping_is_read() -> None:
    for data in inputs("client_frame"):
        read(data)
        read(data, is_deflated=True)


FEW = Traffic(messages=2, bytes=1024, pings=2, message_bytes=1000, fragments=3)


@pytest.mark.parametrize(
    ("sent", "events", "violation"),
    [
        (masked(Opcode.TEXT) * 30, 20, MESSAGES),
        (masked(Opcode.PING) * 30, 20, PINGS),
        (masked(Opcode.PONG) * 30, 20, PINGS),
        (masked(Opcode.TEXT, bytes(1001)), 0, SIZE),
        (masked(Opcode.TEXT, bytes(900), fin=False) + masked(Opcode.CONT, bytes(101)), 0, SIZE),
        (masked(Opcode.TEXT, fin=False) + masked(Opcode.CONT, fin=False) * 3, 0, FRAGMENTS),
        (masked(Opcode.TEXT, bytes(992)) * 12, 10, BYTES),
    ],
    ids=["messages", "pings", "pongs", "size", "size of fragments", "fragments", "bytes"],
)
@given(places=st.lists(st.integers(0)))
@settings(deadline=None, max_examples=20)  # no test asserts a speed
def test_what_is_within_the_limits_is_read_and_nothing_beyond(
    sent: bytes, events: int, violation: Violation, places: list[int]
) -> None:
    """To the byte: also of a read that brings both."""
    found = read(*cut(sent, places), traffic=FEW)
    assert (len(found), found[-1]) == (events + 1, violation)


def test_a_size_is_known_from_the_head() -> None:
    """Before a byte of the payload has come."""
    assert read(b"\x82\xff" + (1 << 62).to_bytes(8) + b"mask") == [SIZE]


def test_bytes_that_are_not_read_are_counted_too() -> None:
    """What comes behind a violation is dropped, up to the rate."""
    reader = Reader(FEW, is_deflated=False)
    [violation] = reader.feed(b"\xff\xff", NOW)
    assert code_of(violation) == 1002
    assert [reader.drop(size, NOW) for size in (10_000, 1000)] == [True, False]
    assert reader.feed(masked(Opcode.TEXT), NOW) == []


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x00", 1002),
        (b"\xf1", None),
        (b"\xf1\x80", 1002),
        (b"\x83\x80", 1002),
        (b"\x89\xfe", 1002),
        (b"\x09\x80", 1002),
        (b"\x80\x80", 1002),
        (b"\x81\xfe\x00\x7d", 1002),
        (b"\x81\xff" + (0xFFFF).to_bytes(8), 1002),
        (b"\x81\xff" + (1 << 63).to_bytes(8), 1002),
        (frame(0x01, b"\xc3\xa9\xed"), None),
        (frame(0x01, b"\xc3\xa9\xed\xa0"), 1007),
        (frame(0x01, b"\xf4\x90"), 1007),
        (frame(0x01, b"\xc3") + frame(0x00, b"\xc3"), 1007),
        (frame(0x01, b"\xc3") + frame(0x80), 1007),
    ],
    ids=lambda value: value.hex() if isinstance(value, bytes) else str(value),
)
def test_a_broken_rule_is_known_as_early_as_it_can_be(sent: bytes, code: int | None) -> None:
    """With the first bytes that no right continuation has."""
    assert [code_of(event) for event in read(sent)] == ([] if code is None else [code])


def test_what_is_compressed_is_inflated() -> None:
    """Whole and in fragments, with a ping among them, and plain messages in between."""
    one, two, three = split(compressed(b"in fragments " * 9))
    sent = [
        frame(WHOLE, compressed(b"whole")),
        frame(0x81, b"plain"),
        frame(BEGIN, one) + frame(MIDDLE, two) + masked(Opcode.PING) + frame(END, three),
        frame(0xC2, compressed(b"\xff")),
        frame(WHOLE, compressed(b"")),
    ]
    assert read(*sent, is_deflated=True) == [
        Message(b"whole", is_text=True),
        Message(b"plain", is_text=True),
        Ping(b""),
        Message(b"in fragments " * 9, is_text=True),
        Message(b"\xff", is_text=False),
        Message(b"", is_text=True),
    ]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param([frame(WHOLE, b"\xff\xff")], 1002, id="what cannot be inflated"),
        pytest.param([frame(WHOLE, compressed(b"\xff"))], 1007, id="what is not UTF-8 once inflated"),
        pytest.param([frame(WHOLE, compressed("é".encode()[:1]))], 1007, id="a character cut off"),
        pytest.param([frame(0xC0)], 1002, id="the rest of a message that was not begun"),
        pytest.param([frame(BEGIN), frame(0xC0)], 1002, id="the mark on a later fragment"),
        pytest.param([frame(0xC9)], 1002, id="the mark on a ping"),
        pytest.param([frame(BEGIN), frame(WHOLE)], 1002, id="a message in the middle of one"),
        pytest.param([frame(BEGIN), frame(0x81)], 1002, id="a plain message in the middle of one"),
        pytest.param([frame(0x01, b"a"), frame(WHOLE)], 1002, id="one in the middle of a plain message"),
        pytest.param([frame(0xA1)], 1002, id="RSV2"),
        pytest.param([frame(WHOLE, compressed(b"x" * ((1 << 16) + 1)))], 1009, id="one that inflates to a byte more"),
        pytest.param([frame(WHOLE, zlib.compress(bytes(1 << 25), 9, wbits=-15))], 1009, id="a bomb"),
        pytest.param([frame(BEGIN, bytes(40_000)), frame(MIDDLE, bytes(40_000))], 1009, id="one that is too long"),
    ],
)
def test_what_breaks_a_rule_of_compression_is_the_end(sent: Sequence[bytes], code: int) -> None:
    """RFC 7692 §6 and §7.2.2, RFC 6455 §5.4 and §8.1."""
    [violation] = read(*sent, is_deflated=True)
    assert code_of(violation) == code


def test_who_has_not_agreed_may_not_compress() -> None:
    """RFC 6455 §5.2: a reserved bit that nobody has given a meaning."""
    [violation] = read(frame(WHOLE, compressed(b"x")))
    assert code_of(violation) == 1002


@pytest.mark.parametrize("is_deflated", [False, True])
def test_a_message_may_have_just_the_longest_size(is_deflated: bool) -> None:
    """Compressed or not, one byte more is 1009."""
    longest = b"x" * (1 << 16)
    sent = masked(Opcode.TEXT, longest) + (frame(WHOLE, compressed(longest)) if is_deflated else b"")
    *messages, violation = read(sent, masked(Opcode.TEXT, longest + b"x"), is_deflated=is_deflated)
    assert messages == [Message(longest, is_text=True)] * (1 + is_deflated)
    assert violation == SIZE


def test_nothing_is_kept_between_messages() -> None:
    """Neither what a message was made of, nor what inflated it: zlib's context takes 40 KiB."""
    reader = Reader(replace(TRAFFIC, messages=1 << 20), is_deflated=True)
    one, two, three = split(compressed(bytes(range(256)) * 40))
    sent = frame(0x42, one) + frame(MIDDLE, two) + frame(END, three)
    reader.feed(sent, NOW)
    kept = []
    # Other threads of the test's process may allocate something meanwhile: what is kept is kept each time.
    for _ in range(3):
        tracemalloc.start()
        try:
            for _ in range(20):
                reader.feed(sent, NOW)
            kept.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    assert min(kept) < 1000


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
@given(places=st.lists(st.integers(0), max_size=5))
@settings(deadline=None, max_examples=20)  # no test asserts a speed
def test_a_large_message_is_skipped_for_who_can_be_told(opcode: Opcode, places: list[int]) -> None:
    """Up to four times the limit, also in fragments; what follows is read. One byte more is 1009."""
    half = b"x" * (1 << 17)
    fragments = masked(opcode, half, fin=False) + masked(Opcode.CONT, half)
    sent = masked(opcode, b"x" * 65537) + fragments + masked(Opcode.TEXT, b"small")
    assert read(*cut(sent, places), skips_large=True) == [
        TooBig(is_text=opcode is Opcode.TEXT),
        TooBig(is_text=opcode is Opcode.TEXT),
        Message(b"small", is_text=True),
    ]
    beyond = masked(opcode, half, fin=False) + masked(Opcode.CONT, half + b"x")
    assert read(*cut(beyond, places), skips_large=True) == [SIZE]


def test_a_large_message_is_compressed_as_well_as_inflated() -> None:
    """It is not inflated any further than four times the limit; what is compressed and large is not inflated at all."""
    sizes = [65536, 65537, 4 * 65536, 4 * 65536 + 1]
    whole = [frame(WHOLE, compressed(b"x" * size)) for size in sizes]
    told = [Message(b"x" * 65536, is_text=True), TooBig(is_text=True), TooBig(is_text=True), SIZE]
    assert read(*whole, is_deflated=True, skips_large=True) == told
    noise = bytes(60_000)
    large = frame(BEGIN, noise) + frame(END, noise)
    assert read(large, is_deflated=True, skips_large=True) == [TooBig(is_text=True)]


@pytest.mark.parametrize(("size", "most"), [(65536, 9), (4 * 65536, 2)])
def test_what_a_message_inflates_to_counts_as_bytes(size: int, most: int) -> None:
    """Else a client could have some hundred bytes inflated to a hundred times 256 KiB in one turn of the loop."""
    sent = frame(WHOLE, compressed(b"x" * size))
    traffic = replace(TRAFFIC, bytes=1 << 16)
    *messages, last = read(sent * 20, is_deflated=True, skips_large=True, traffic=traffic)
    assert (len(messages), last) == (most, BYTES)
    reader = Reader(traffic, is_deflated=True, skips_large=True)
    for second in range(20):
        (event,) = reader.feed(sent, NOW + 5 * second)
        assert not isinstance(event, Violation)


def test_what_is_skipped_is_read_by_the_rules() -> None:
    """It is UTF-8 where it is text."""
    assert code_of(read(masked(Opcode.TEXT, b"x" * 70_000 + b"\xff"), skips_large=True)[-1]) == 1007
    assert code_of(read(masked(Opcode.TEXT, b"x" * 70_000 + b"\xc3"), skips_large=True)[-1]) == 1007


def test_nothing_of_what_is_skipped_is_kept() -> None:
    reader = Reader(TRAFFIC, is_deflated=False, skips_large=True)
    tracemalloc.start()
    try:
        reader.feed(masked(Opcode.TEXT, b"x" * 200_000)[:-1], NOW)
        assert tracemalloc.get_traced_memory()[0] < 1000
    finally:
        tracemalloc.stop()
