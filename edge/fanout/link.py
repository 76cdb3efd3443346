"""The ways to a client, as the hub needs them; :mod:`edge.clients` has the real ones.

A session ends in one of these ways, each of which is said once and by one side:

* ``Link.close(end)``: the edge ends it, and the link says so to the client and waits for its answer;
* ``Link.abort(end)``: the edge cuts the connection, and the client is told nothing;
* ``Client.stop()``: the link closes by itself, since the client has closed or has broken a rule;
* ``Client.leave()``: the connection is lost, after any of these or without.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from edge.access.grant import Grant
from edge.fanout.ending import End
from edge.feed.selection import Selection

WriteEach = Callable[[Sequence[int], bytes], Sequence[tuple[int, bytes]]]
"""Sends the same whole messages through many links that hold nothing, named by their keys. Returns those that could not
take it all, each with what is left of it."""


class Client(Protocol):
    """The hub's side of a link; the link tells it what becomes of the connection."""

    def tell(self, data: bytes) -> bool:
        """Send whole messages to this client alone, behind what it was sent; False when too many wait for that."""
        ...

    def select(self, selection: Selection | None) -> str | None:
        """Have this client see other posts behind what it was sent; return the cursor of that place.

        Return None when that cannot be done now, and is not.
        """
        ...

    def renew(self, grant: Grant, selection: Selection | None) -> bool:
        """Go on with another token, by which this client sees these posts behind what it was sent.

        Return False when that cannot be done now, and is not.
        """
        ...

    def pause_writing(self) -> None:
        """Hear that the transport holds bytes that it could not send."""
        ...

    def resume_writing(self) -> None:
        """Hear that it holds none any more."""
        ...

    def stop(self) -> None:
        """Hear that the link closes by itself: nothing more is to be sent."""
        ...

    def expect_close(self) -> None:
        """Hear that the link has set ``close_by``."""
        ...

    def leave(self) -> None:
        """Hear that the connection is lost."""
        ...

    def cursor(self) -> str | None:
        """Return the cursor behind all that was sent; None where there is none any more, or not yet."""
        ...


class Link(Protocol):
    """What the hub needs of a connection; times are by the loop's clock."""

    key: int
    """Identifies this link among the open ones."""
    heard: float
    unsent_since: float | None
    close_by: float | None
    """When the connection is cut although the client has not answered a close; None while the transport holds bytes."""

    def attach(self, client: Client) -> None:
        """Tell this client what becomes of the connection from now on."""
        ...

    def write(self, data: bytes) -> bool:
        """Send whole messages, or keep them until they can be sent; return False when the connection is lost."""
        ...

    def ping(self) -> None:
        """Ask for a sign of life."""
        ...

    def close(self, end: End) -> None:
        """Say why after what was begun, and wait for the client's answer; once is enough."""
        ...

    def abort(self, end: End) -> None:
        """Cut the connection; ``end`` says why, unless the session has ended before."""
        ...
