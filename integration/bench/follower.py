"""One client that follows the feed with cursors: what it asks for, where it is, and whether all it gets is right.

It is given bytes and goes through an answer, a welcome, messages, and perhaps a close; then it may come back. It
raises :class:`~integration.bench.transcript.Wrong` for whatever should not be. It knows no sockets and no time.
"""

from collections.abc import Callable
from typing import Final

from integration.bench.transcript import Transcript, Wrong, behind_notice, close_in, welcome_in

_ANSWERED: Final = b"HTTP/1.1 101 "
_TEXT: Final = b"\x81"
_AT_END: Final = "history=0"


class Follower:
    """Made before its first connection; ``position`` is where it is in the transcript that all share."""

    __slots__ = ("_has_begun", "_rest", "_take", "_transcript", "code", "is_answered", "is_welcome", "position")

    def __init__(self, transcript: Transcript) -> None:
        self.position = 0
        self.code: int | None = None
        """With which code the server has closed it."""
        self.is_answered = False
        self.is_welcome = False
        self._transcript = transcript
        self._has_begun = False
        self._rest = b""
        self._take: Callable[[], bool] = self._answer

    def query(self) -> str:
        """Begin a connection: return the query to ask with. What was begun of a message is forgotten."""
        self.code, self._rest, self._take = None, b"", self._answer
        self.is_answered = self.is_welcome = False
        if not self._has_begun:
            return _AT_END
        self.position = self._transcript.whole(self.position)
        return f"cursor={self._transcript.cursor_at(self.position)}"

    def receive(self, data: bytes) -> None:
        """Take what came."""
        self._rest += data
        while self._rest and self._take():
            pass

    # Each of these takes its part of the rest, and says whether the next one is to go on.

    def _answer(self) -> bool:
        head, blank, rest = self._rest.partition(b"\r\n\r\n")
        if not blank:
            return False
        if not head.startswith(_ANSWERED):
            raise Wrong(f"the server answered {head.splitlines()[0]!r}")
        self._rest, self._take = rest, self._welcome
        self.is_answered = True
        return True

    def _welcome(self) -> bool:
        read = welcome_in(self._rest)
        if read is None:
            return False
        cursor, self._rest = read
        if not self._has_begun:
            self._transcript.begin(cursor)
            self._has_begun = True
        # Later ones may be spelt otherwise, with the place before a post instead of that after the one before it.
        # What follows shows whether it is the same place.
        self.is_welcome, self._take = True, self._follow
        return True

    def _follow(self) -> bool:
        self.position, self._rest = self._transcript.follow(self.position, self._rest)
        self._take = self._notice if self._rest[:1] == _TEXT else self._close if self._rest else self._follow
        return bool(self._rest)

    def _notice(self) -> bool:
        rest = behind_notice(self._rest)
        if rest is None:
            return False
        self._rest, self._take = rest, self._follow
        return True

    def _close(self) -> bool:
        self.code = close_in(self._rest)
        return False
