"""One client: its position in the log, what it is sent next, and how it ends.

A session never touches a socket, and it keeps nothing that was not sent yet but a greeting: what
a client is still to get is in the log, for everybody once. It ends once, with a
:class:`Disconnect`; the range of its code tells the client whether to come back.
"""

from typing import Final

from edge.feed.log import Log
from edge.feed.position import Position
from edge.feed.reads import Chunk
from edge.wire.closing import CUT, Disconnect
from edge.wire.encoding import Encoding

SHUTDOWN: Final = Disconnect(1001, "the server is shutting down; connect again")
INTERRUPTED: Final = Disconnect(1001, "the feed was interrupted; connect again")
DEAD: Final = Disconnect(CUT, "gave no sign of life")
STALLED: Final = Disconnect(CUT, "took nothing of what it was sent")
FELL_BEHIND: Final = Disconnect(4008, "too slow: the log has moved past you; resume with your cursor")


class Place:
    """A place in the log: everything before ``position`` has been sent to the clients that are there.

    It moves on for all of them at once; ``posts`` counts those that were sent there since the place was made.
    """

    __slots__ = ("position", "posts")

    def __init__(self, position: Position) -> None:
        self.position = position
        self.posts = 0

    def move_on(self, chunk: Chunk) -> None:
        """Go to where a read ended."""
        self.position = chunk.position
        self.posts += chunk.posts


class Session:
    """A client that is sent what follows ``position``, in ``encoding``, after ``greeting`` (whole frames)."""

    __slots__ = ("_greeting", "_sent_elsewhere", "disconnect", "encoding", "place")

    def __init__(self, position: Position, encoding: Encoding, greeting: bytes = b"") -> None:
        self.place = Place(position)
        """Where it is; clients that go on together share one, which moves for all of them."""
        self.encoding = encoding
        self._greeting = greeting
        # What it was sent at other places, less what was sent at this one before it came.
        self._sent_elsewhere = 0
        self.disconnect: Disconnect | None = None
        """How it ends; set once."""

    @property
    def position(self) -> Position:
        """What it has been sent everything before."""
        return self.place.position

    @property
    def sent(self) -> int:
        """How many posts it was sent."""
        return self._sent_elsewhere + self.place.posts

    @property
    def is_greeted(self) -> bool:
        """Whether a greeting is to be sent before anything else."""
        return bool(self._greeting)

    def go_on_at(self, place: Place) -> None:
        """Go on at another place, which it may share."""
        self._sent_elsewhere = self.sent - place.posts
        self.place = place

    def take(self, log: Log, limit: int) -> bytes:
        """Return what is sent next: whole frames, ``limit`` bytes of posts at most or a single post."""
        if not self.keeps_up(log):
            return b""
        chunk = log.read(self.position, self.encoding, limit)
        self.place.move_on(chunk)
        data = chunk.data
        if self._greeting:
            data, self._greeting = self._greeting + data, b""
        return data

    def keeps_up(self, log: Log) -> bool:
        """Whether it may go on: a session that the log has moved past ends here."""
        if self.position < log.tail:
            self.end(FELL_BEHIND)
        return self.disconnect is None

    def miss(self, position: Position, greeting: bytes) -> None:
        """Go on at ``position`` after a gap in the feed, which ``greeting`` tells to who has cursors."""
        self.go_on_at(Place(position))
        if self.encoding.has_cursor:
            self._greeting = greeting

    def end(self, disconnect: Disconnect) -> None:
        """End it; the first end counts."""
        if self.disconnect is None:
            self.disconnect = disconnect
