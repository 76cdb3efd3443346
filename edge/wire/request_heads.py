"""Finds where request heads begin and end in the bytes that a client sends (RFC 9112 section 2).

The counter is fed chunks cut anywhere, keeps at most 3 bytes, and validates nothing: the parser, which gets the same
bytes, does that. It decides only whether a head is too large, and tells whether one is incomplete.
"""

import re
from typing import Final

_HEAD_END: Final = b"\r\n\r\n"
# A server should ignore empty lines before a request (RFC 9112 section 2.2): they are no head.
_BLANK: Final = re.compile(rb"[\r\n]*")


class RequestHeadCounter:
    """Counts request heads and their bytes; each head may have ``limit`` bytes.

    No request that the edge answers has a body; a body counts as another head.
    """

    __slots__ = ("_limit", "_tail", "ended", "size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tail = b""
        self.size = 0
        """Bytes of the incomplete head; 0 between heads."""
        self.ended = 0
        """How many complete heads have come; empty lines between heads are not counted."""

    def feed(self, data: bytes) -> bool:
        """Count a chunk; return False when a head is larger than ``limit``."""
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
