"""One client: its position in the log, what it is sent next, and how it ends.

A session never touches a socket, and it keeps nothing that was not sent yet but a greeting: what
a client is still to get is in the log, for everybody once. It ends once, with a
:class:`Disconnect`; the range of its code tells the client whether to come back.
"""

from typing import Final

from edge.feed.log import Log
from edge.feed.position import Position
from edge.wire.closing import CUT, Disconnect
from edge.wire.frames import Form

SHUTDOWN: Final = Disconnect(1001, "the server is shutting down; connect again")
INTERRUPTED: Final = Disconnect(1001, "the feed was interrupted; connect again")
DEAD: Final = Disconnect(CUT, "gave no sign of life")
STALLED: Final = Disconnect(CUT, "took nothing of what it was sent")
FELL_BEHIND: Final = Disconnect(4008, "too slow: the log has moved past you; resume with your cursor")


class Place:
    """A place in the log: everything before ``position`` has been sent to who is there."""

    __slots__ = ("position",)

    def __init__(self, position: Position) -> None:
        self.position = position


class Session:
    """A client that is sent what follows ``position``, in ``form``, after ``greeting`` (whole frames)."""

    __slots__ = ("_began", "_greeting", "_sent_before", "disconnect", "form", "place")

    def __init__(self, position: Position, form: Form, greeting: bytes = b"") -> None:
        self.place = Place(position)
        """Where it is; clients that go on together share one, which moves for all of them."""
        self.form = form
        self._greeting = greeting
        self._began = position
        self._sent_before = 0
        self.disconnect: Disconnect | None = None
        """How it ends; set once."""

    @property
    def position(self) -> Position:
        """What it has been sent everything before."""
        return self.place.position

    @property
    def sent(self) -> int:
        """How many posts it was sent."""
        return self._sent_before + self.position - self._began

    @property
    def is_greeted(self) -> bool:
        """Whether a greeting is to be sent before anything else."""
        return bool(self._greeting)

    def take(self, log: Log, limit: int) -> bytes:
        """Return what is sent next: whole frames, ``limit`` bytes of posts at most or a single post."""
        if not self.keeps_up(log):
            return b""
        data, position = log.read(self.position, self.form, limit)
        self.place = Place(position)
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
        self._sent_before = self.sent
        self.place, self._began = Place(position), position
        if self.form.has_cursor:
            self._greeting = greeting

    def end(self, disconnect: Disconnect) -> None:
        """End it; the first end counts."""
        if self.disconnect is None:
            self.disconnect = disconnect
