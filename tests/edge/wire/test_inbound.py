"""Heads and frames are found wherever the chunks are cut."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from edge.wire.inbound import Frames, Heads

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

frames = st.builds(
    Frame,
    opcode=st.sampled_from([Opcode.CONT, Opcode.TEXT, Opcode.BINARY]),
    data=st.integers(0, 300).map(bytes) | st.sampled_from([bytes(125), bytes(126), bytes(65535), bytes(65536)]),
    fin=st.booleans(),
) | st.builds(Frame, opcode=st.sampled_from([Opcode.PING, Opcode.PONG, Opcode.CLOSE]), data=st.just(b""))


def cut(data: bytes, places: Sequence[int]) -> Iterator[bytes]:
    """Cut data at these places."""
    begin = 0
    for place in sorted(each % (len(data) + 1) for each in places):
        yield data[begin:place]
        begin = place
    yield data[begin:]


@given(sent=st.lists(frames, max_size=8), places=st.lists(st.integers(0)), is_masked=st.booleans())
@settings(deadline=None)  # no test asserts a speed
def test_every_frame_is_found_once_wherever_the_chunks_are_cut(
    sent: list[Frame], places: list[int], is_masked: bool
) -> None:
    data = b"".join(frame.serialize(mask=is_masked) for frame in sent)
    scanner = Frames()
    found = [each for chunk in cut(data, places) for each in scanner.feed(chunk)]
    assert found == [(frame.opcode, len(frame.data)) for frame in sent]


def test_a_frame_is_found_when_its_header_is_complete() -> None:
    """Before its payload has come; of a frame of 2^63 bytes only the header is ever kept."""
    scanner = Frames()
    header = b"\x82\xff" + (1 << 63).to_bytes(8) + b"mask"
    assert [list(scanner.feed(header[at : at + 1])) for at in range(10)] == [[]] * 9 + [[(2, 1 << 63)]]
    assert list(scanner.feed(header[10:] + bytes(1000))) == []


def test_what_nobody_asks_for_is_not_looked_at() -> None:
    """After the first frame of many the rest costs nothing."""
    found = Frames().feed(b"\x89\x80mask" * 100_000)
    assert next(found) == (Opcode.PING, 0)


@given(
    lines=st.lists(st.text("abc: ", max_size=10).map(str.encode), min_size=1, max_size=5),
    count=st.integers(1, 4),
    blank=st.sampled_from([b"", b"\r\n", b"\r\n\r\n\r\n"]),
    places=st.lists(st.integers(0)),
)
@settings(deadline=None)  # no test asserts a speed
def test_a_head_may_be_as_large_as_the_limit_and_no_larger(
    lines: list[bytes], count: int, blank: bytes, places: list[int]
) -> None:
    """From its first byte to the last of its empty line; empty lines before it do not count (RFC 9112 §2.2)."""
    head = b"GET / HTTP/1.1\r\n" + b"".join(b"x" + line + b"\r\n" for line in lines) + b"\r\n"
    exact, short = Heads(len(head)), Heads(len(head) - 1)
    data = (blank + head) * count
    assert all(exact.feed(chunk) for chunk in cut(data, places))
    assert exact.size == 0
    assert not all(short.feed(chunk) for chunk in cut(data, places))


@pytest.mark.parametrize(
    ("data", "size"),
    [(b"", 0), (b"\r\n", 0), (REQUEST, 0), (REQUEST[:-1], len(REQUEST) - 1), (REQUEST + b"\r\nGE", 2)],
)
def test_it_is_known_whether_a_head_has_begun(data: bytes, size: int) -> None:
    """Byte by byte as in one chunk."""
    whole, dripping = Heads(1000), Heads(1000)
    assert whole.feed(data)
    assert all(dripping.feed(data[at : at + 1]) for at in range(len(data)))
    assert (whole.size, dripping.size) == (size, size)
