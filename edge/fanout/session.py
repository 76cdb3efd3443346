"""One client: its position in the log, and what it is sent first.

A session never touches a socket, and it keeps nothing that was not sent yet but a greeting: what a client is still to
get is in the log, for everybody once.
"""

from typing import Any

from edge.feed.position import Position
from edge.feed.reads import Chunk, Reading
from edge.feed.replay import Replay
from edge.feed.selection import Selection
from edge.wire.encoding import Encoding


class Progress:
    """How far the log was sent: everything before ``position``, to all clients that share this.

    It moves on for all of them at once; ``posts`` counts those that were sent since it was made.
    """

    __slots__ = ("position", "posts", "replay")

    def __init__(self, position: Position, replay: Replay[Any] | None = None) -> None:
        self.position = position
        self.posts = 0
        self.replay = replay
        """Where they read; None for the log."""

    def move_on(self, chunk: Chunk) -> None:
        """Go to where a read ended."""
        self.position = chunk.position
        self.posts += chunk.posts


class Session:
    """A client that is sent what follows ``position``, in ``encoding``, after ``greeting`` (whole messages).

    ``selection`` says what of it; None is everything.
    """

    __slots__ = ("_sent_elsewhere", "encoding", "greeting", "progress", "selection")

    def __init__(
        self, position: Position, encoding: Encoding, greeting: bytes = b"", selection: Selection | None = None
    ) -> None:
        self.progress = Progress(position)
        """How far it is; clients that go on together share one."""
        self.encoding = encoding
        self.selection = selection
        """Which posts it sees; None for all."""
        self.greeting = greeting
        """What is to be sent before anything else; nobody else has it."""
        # What it was sent with other progress, less what this one had counted before the client shared it.
        self._sent_elsewhere = 0

    @property
    def position(self) -> Position:
        """What it has been sent everything before."""
        return self.progress.position

    @property
    def replay(self) -> Replay[Any] | None:
        """The replay that it reads; None for the log."""
        return self.progress.replay

    @property
    def reading(self) -> Reading:
        """What it has in common with clients that are sent the same."""
        return Reading(self.encoding, self.selection)

    @property
    def sent(self) -> int:
        """How many posts it was sent."""
        return self._sent_elsewhere + self.progress.posts

    def share(self, progress: Progress) -> None:
        """Go on with other progress."""
        self._sent_elsewhere = self.sent - progress.posts
        self.progress = progress

    def skip_to(self, position: Position, greeting: bytes, replay: Replay[Any] | None = None) -> None:
        """Go on at ``position``, beginning with ``greeting`` in place of one that was not sent yet."""
        self.share(Progress(position, replay))
        self.greeting = greeting
