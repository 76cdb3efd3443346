"""Where request heads begin and end in what a client sends (RFC 9112 section 2).

The scanner is fed chunks cut anywhere, keeps a few bytes, and validates nothing: that is the
parser's business, which gets the same bytes. It is there to count before the parser works, and
decides nothing but whether a head is too large or takes too long.
"""

import re
from typing import Final

_HEAD_END: Final = b"\r\n\r\n"
# A server should ignore empty lines before a request (RFC 9112 section 2.2): they are no head.
_BLANK: Final = re.compile(rb"[\r\n]*")


class Heads:
    """Request heads, one after the other, each of ``limit`` bytes at most.

    None of our requests has a body; a body counts as the head after its request.
    """

    __slots__ = ("_limit", "_tail", "ended", "size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tail = b""
        self.size = 0
        """How many bytes of a head have come whose end has not; 0 between heads."""
        self.ended = 0
        """How many heads have come whole; empty lines between them are none."""

    def feed(self, data: bytes) -> bool:
        """Take what came; False when a head is larger than it may be."""
        earlier = self.size - len(self._tail)
        seen = self._tail + data
        begin = 0 if self.size else _end_of_blank(seen, 0)
        while (end := seen.find(_HEAD_END, begin)) >= 0:
            end += len(_HEAD_END)
            if earlier + end - begin > self._limit:
                return False
            self.ended += 1
            earlier, begin = 0, _end_of_blank(seen, end)
        self.size = earlier + len(seen) - begin
        # The end may be cut anywhere but behind its last byte.
        self._tail = seen[max(begin, len(seen) - len(_HEAD_END) + 1) :]
        return self.size <= self._limit


def _end_of_blank(data: bytes, begin: int) -> int:
    match = _BLANK.match(data, begin)
    assert match is not None  # noqa: S101 - the pattern matches an empty string; told to the type checker
    return match.end()
