"""Where request heads and frames begin and end in what a client sends.

Both scanners are fed chunks cut anywhere, keep a few bytes and no payload, and validate nothing:
that is the parser's business, which gets the same bytes. They are there to count before it works.
References: RFC 9112 section 2 for heads, RFC 6455 section 5.2 for frames.
"""

import re
from collections.abc import Iterator
from typing import Final

_HEAD_END: Final = b"\r\n\r\n"
# A server should ignore empty lines before a request (RFC 9112 section 2.2): they are no head.
_BLANK: Final = re.compile(rb"[\r\n]*")

_LENGTH: Final = 0x7F
_MASKED: Final = 0x80
_OPCODE: Final = 0x0F
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_MASK_BYTES: Final = 4


class Heads:
    """Request heads, one after the other, each of ``limit`` bytes at most.

    None of our requests has a body; a body counts as the head after its request.
    """

    __slots__ = ("_limit", "_tail", "size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tail = b""
        self.size = 0
        """How many bytes of a head have come whose end has not; 0 between heads."""

    def feed(self, data: bytes) -> bool:
        """Take what came; False when a head is larger than it may be."""
        earlier = self.size - len(self._tail)
        seen = self._tail + data
        begin = 0 if self.size else _end_of_blank(seen, 0)
        while (end := seen.find(_HEAD_END, begin)) >= 0:
            end += len(_HEAD_END)
            if earlier + end - begin > self._limit:
                return False
            earlier, begin = 0, _end_of_blank(seen, end)
        self.size = earlier + len(seen) - begin
        # The end may be cut anywhere but behind its last byte.
        self._tail = seen[max(begin, len(seen) - len(_HEAD_END) + 1) :]
        return self.size <= self._limit


def _end_of_blank(data: bytes, begin: int) -> int:
    match = _BLANK.match(data, begin)
    assert match is not None  # noqa: S101 - the pattern matches an empty string; told to the type checker
    return match.end()


class Frames:
    """The frames of a WebSocket, told by their headers."""

    __slots__ = ("_header", "_payload")

    def __init__(self) -> None:
        self._header = b""
        self._payload = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield opcode and length of each frame whose header is complete now.

        Lazily: who has seen enough stops, and what follows is never looked at. Feed nothing after that.
        """
        if self._payload >= len(data):
            self._payload -= len(data)
            return
        if self._header:
            data = self._header + data
        at, end = self._payload, len(data)
        while end - at >= 2:  # noqa: PLR2004 - the two bytes that every header has
            length = data[at + 1] & _LENGTH
            size = 2 + (_MASK_BYTES if data[at + 1] & _MASKED else 0)
            extended = {_LENGTH_16: 2, _LENGTH_64: 8}.get(length, 0)
            if extended:
                if end - at < 2 + extended:
                    break
                length = int.from_bytes(data[at + 2 : at + 2 + extended])
            yield data[at] & _OPCODE, length
            at += size + extended + length
        self._payload = max(0, at - end)
        self._header = data[at:]
