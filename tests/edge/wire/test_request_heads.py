"""Request heads are found wherever the chunks are cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.wire.request_heads import RequestHeadCounter
from tests.edge.kit.cutting import cut

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


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
    exact, short = RequestHeadCounter(len(head)), RequestHeadCounter(len(head) - 1)
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
    whole, dripping = RequestHeadCounter(1000), RequestHeadCounter(1000)
    assert whole.feed(data)
    assert all(dripping.feed(data[at : at + 1]) for at in range(len(data)))
    assert (whole.size, dripping.size) == (size, size)
