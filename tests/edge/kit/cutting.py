"""A stream of bytes comes in pieces that nobody chooses."""

from collections.abc import Iterator, Sequence


def cut(data: bytes, places: Sequence[int]) -> Iterator[bytes]:
    """Cut data at these places."""
    begin = 0
    for place in sorted(each % (len(data) + 1) for each in places):
        yield data[begin:place]
        begin = place
    yield data[begin:]
