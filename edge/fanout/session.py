"""One client: its position in the log, and what it is sent first.

A session never touches a socket, and it keeps nothing that was not sent yet but a greeting: what a client is still to
get is in the log, for everybody once. Times are in seconds of any clock that never runs backwards.
"""

import math
from typing import Any, NamedTuple

from edge.access.grant import Grant
from edge.feed.position import Position, Reason
from edge.feed.reads import Chunk, Reading
from edge.feed.replay import Replay
from edge.feed.selection import Selection
from edge.positions.device import Device
from edge.wire.encoding import Encoding


class Passed:
    """A place that moves on, with all that rest behind it."""

    __slots__ = ("position",)

    def __init__(self, position: Position) -> None:
        self.position = position


class Progress:
    """How far the log was sent: everything before ``position``, to all clients that share this.

    It moves on for all of them at once; ``posts`` counts those that were sent since it was made.
    """

    __slots__ = (
        "_passed", "_position", "greeting", "is_checked", "is_restricted", "posts", "replay", "target", "told_at",
    )  # fmt: skip

    def __init__(
        self,
        position: Position,
        greeting: bytes = b"",
        target: Position | None = None,
        replay: Replay[Any] | None = None,
    ) -> None:
        self._position = position
        self._passed: Passed | None = None
        self.posts = 0
        self.greeting = greeting
        """What is sent before anything else: whole messages."""
        self.target = target
        """Where they are told that they have caught up; None when they are not to be told, or have been."""
        self.replay = replay
        """Where they read; None for the log."""
        self.told_at = -math.inf
        """When something was last sent to all of them."""
        self.is_checked = False
        """Whether each is known to see what is read here: none has come or gone, or sees something else, since."""
        self.is_restricted = False
        """Whether the token of one of them restricts what it sees, as far as that is known."""

    @property
    def position(self) -> Position:
        """What all was sent before that was to be sent."""
        return self._position if self._passed is None else max(self._position, self._passed.position)

    def move_on(self, chunk: Chunk) -> None:
        """Go to where a read ended."""
        self._position = chunk.position
        self.posts += chunk.posts

    def rest(self, passed: Passed) -> None:
        """Move on with a place from now on, as soon as that is further on: up to there nothing is to be sent."""
        self._passed = passed

    def wake(self) -> None:
        """Stay here from now on."""
        self._position, self._passed = self.position, None


class Missed(NamedTuple):
    """What a client has missed: everything between ``seen``, where that is known, and where it goes on; and why."""

    seen: Position | None
    reason: Reason


class Session:
    """A client that is sent what follows ``position``, in ``encoding``, after ``greeting`` (whole messages).

    ``selection`` says what of it; None is everything. ``id`` identifies it in the log; for ``target`` see
    :class:`Progress`. ``grant`` is what its token allows, ``asked`` its own filter: of that it sees what is allowed.
    ``device`` says where what it acknowledges is stored, if it is.
    """

    __slots__ = (
        "_grant", "_selection", "_sent_elsewhere", "_told_alone_at", "asked", "device", "encoding", "id", "missed",
        "progress",
    )  # fmt: skip

    def __init__(
        self,
        position: Position,
        encoding: Encoding,
        greeting: bytes = b"",
        selection: Selection | None = None,
        *,
        id: str = "",  # noqa: A002 - what it is called everywhere
        target: Position | None = None,
        grant: Grant | None = None,
        asked: Selection | None = None,
        device: Device | None = None,
    ) -> None:
        self.progress = Progress(position, greeting, target)
        """How far it is; clients that go on together share one."""
        self.encoding = encoding
        self._selection = selection
        self.asked = asked
        """Which it has asked for; None for all. Where a token restricts, it sees what is in both."""
        self._grant = grant
        self.id = id
        self.device = device
        self.missed: Missed | None = None
        """What its newest greeting says that it has missed."""
        # What it was sent with other progress, less what this one had counted before the client shared it.
        self._sent_elsewhere = 0
        # When it was last sent something that others were not sent with it.
        self._told_alone_at = -math.inf

    @property
    def position(self) -> Position:
        """What it has been sent everything before."""
        return self.progress.position

    @property
    def replay(self) -> Replay[Any] | None:
        """The replay that it reads; None for the log."""
        return self.progress.replay

    @property
    def selection(self) -> Selection | None:
        """Which posts it sees; None for all."""
        return self._selection

    @selection.setter
    def selection(self, selection: Selection | None) -> None:
        self._selection = selection
        self.progress.is_checked = False

    @property
    def grant(self) -> Grant | None:
        """What its newest token allows; None when nobody has signed in."""
        return self._grant

    @grant.setter
    def grant(self, grant: Grant) -> None:
        self._grant = grant
        self.progress.is_checked = False

    @property
    def reading(self) -> Reading:
        """What it has in common with clients that are sent the same."""
        return Reading(self.encoding, self.selection)

    @property
    def sent(self) -> int:
        """How many posts it was sent."""
        return self._sent_elsewhere + self.progress.posts

    @property
    def is_greeted(self) -> bool:
        """Whether it was sent its greeting, if it has one."""
        return not self.progress.greeting

    @property
    def untold(self) -> Missed | None:
        """What it has missed before its position, and was not told of yet."""
        return None if self.is_greeted else self.missed

    @property
    def told_at(self) -> float:
        """When it was last sent something, as far as it was told of that."""
        return max(self._told_alone_at, self.progress.told_at)

    def note_told(self, now: float) -> None:
        """Note that something is sent, or goes out, to this client alone."""
        self._told_alone_at = now

    def share(self, progress: Progress) -> None:
        """Go on with other progress."""
        self._told_alone_at = self.told_at
        self._sent_elsewhere = self.sent - progress.posts
        self.progress.is_checked = progress.is_checked = False
        self.progress = progress

    def skip_to(
        self,
        position: Position,
        greeting: bytes = b"",
        target: Position | None = None,
        replay: Replay[Any] | None = None,
    ) -> None:
        """Go on alone at ``position`` of a replay or the log, with another greeting and another target."""
        self.share(Progress(position, greeting, target, replay))
