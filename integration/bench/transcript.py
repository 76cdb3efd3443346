"""What every follower of the feed must get, in the very bytes in which the first of them got it.

With a cursor each message is the same for everybody, at every edge, so thousands of clients are checked by comparing
bytes: only what nobody has had yet is looked into. Laws: a follower's position only grows; what it gets is what the
transcript has there, or lengthens it; ids go up one by one. This module knows no sockets and no time.
"""

import json
from bisect import bisect_right
from struct import Struct
from typing import Final

# RFC 6455 section 5.2: FIN and opcode, then the length. Every message here is long enough for the two bytes that
# follow a mark of 126, and short enough for them.
_HEADER: Final = Struct("!BBH")
_TEXT: Final = 0x81
_CLOSE: Final = 0x88
_MARK: Final = 126
_SHORT: Final = 2
"""The header of a short frame, as a close and a notice have it: no notice is as long as any post, but a welcome."""


class Wrong(Exception):
    """A follower got what it should not have."""


class Transcript:
    """All messages after the first welcome, joined; made longer by whoever is first."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = [0]
        self._cursors: list[str] = []
        self._last_id: int | None = None

    def begin(self, cursor: str) -> None:
        """Take the cursor of a welcome for the beginning; everybody's must be the same."""
        if not self._cursors:
            self._cursors.append(cursor)
        if cursor != self._cursors[0]:
            raise Wrong(f"one begins at {self._cursors[0]} and one at {cursor}")

    def cursor_at(self, position: int) -> str:
        """Return the cursor of the last message that ends at ``position`` or before."""
        return self._cursors[self._posts_at(position)]

    def whole(self, position: int) -> int:
        """Return where that message ends."""
        return self._ends[self._posts_at(position)]

    def end_of(self, posts: int) -> int | None:
        """Return where the message of that number ends; None while nobody has it."""
        return self._ends[posts] if posts < len(self._ends) else None

    def follow(self, position: int, data: bytes) -> tuple[int, bytes]:
        """Take what a follower at ``position`` has got; return where it is then, and what is no post any more."""
        known = bytes(self._bytes[position : position + len(data)])
        if data.startswith(known):
            position += len(known)
            return (position, b"") if len(known) == len(data) else self._lengthen(data[len(known) :])
        same = next(index for index, (one, other) in enumerate(zip(known, data, strict=False)) if one != other)
        if self.whole(position + same) == position + same - 1 and data[same] < _MARK:
            # A notice begins like a post: its first byte was taken for that of one.
            return position + same - 1, bytes([_TEXT]) + data[same:]
        if position + same != self.whole(position + same) or data[same] == _TEXT:
            raise Wrong(f"a follower got something else at byte {position + same}: {data[same : same + 80]!r}")
        return position + same, data[same:]

    def _posts_at(self, position: int) -> int:
        return bisect_right(self._ends, position) - 1

    def _lengthen(self, data: bytes) -> tuple[int, bytes]:
        self._bytes += data
        while (at := self._ends[-1]) < len(self._bytes):
            if self._bytes[at] != _TEXT or (at + 1 < len(self._bytes) and self._bytes[at + 1] < _MARK):
                rest = bytes(self._bytes[at:])
                del self._bytes[at:]
                return at, rest
            if len(self._bytes) < at + _HEADER.size:
                break
            _, mark, length = _HEADER.unpack_from(self._bytes, at)
            if mark != _MARK:
                raise Wrong(f"a message has the length mark {mark}")
            if len(self._bytes) < at + _HEADER.size + length:
                break
            self._note(bytes(self._bytes[at + _HEADER.size : at + _HEADER.size + length]))
            self._ends.append(at + _HEADER.size + length)
        return len(self._bytes), b""

    def _note(self, text: bytes) -> None:
        try:
            message = json.loads(text)
        except ValueError as error:
            raise Wrong(f"no JSON: {text[:80]!r}") from error
        id_ = message["payload"]["id"]
        if self._last_id is not None and id_ != self._last_id + 1:
            raise Wrong(f"post {id_} follows post {self._last_id}")
        self._last_id = id_
        self._cursors.append(message["cursor"])


def welcome_in(data: bytes) -> tuple[str, bytes] | None:
    """Read a welcome that says that nothing is missing: its cursor, and what follows it; None while it is not whole."""
    if len(data) < _SHORT:
        return None
    size, length = (_SHORT, data[1]) if data[1] < _MARK else (_HEADER.size, int.from_bytes(data[2:4]))
    if len(data) < size + length:
        return None
    message = json.loads(data[size : size + length])
    if message["action"] != "welcome" or not message["payload"]["recovered"]:
        raise Wrong(f"instead of a welcome: {message}")
    return message["payload"]["cursor"], data[size + length :]


def behind_notice(data: bytes) -> bytes | None:
    """Return what follows the notice with which ``data`` begins; None while it is not whole."""
    size = _SHORT + data[1] if len(data) > 1 else _SHORT
    if len(data) < size:
        return None
    action = json.loads(data[_SHORT:size])["action"]
    if action not in ("caught_up", "heartbeat"):
        raise Wrong(f"a notice of the action {action}")
    return data[size:]


def close_in(data: bytes) -> int | None:
    """Read the code of a close frame; None while it is not whole."""
    if data and data[0] != _CLOSE:
        raise Wrong(f"neither a message nor a close: {data[:80]!r}")
    if len(data) < _SHORT or len(data) < _SHORT + data[1]:
        return None
    return int.from_bytes(data[_SHORT : _SHORT + 2])
