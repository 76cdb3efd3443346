"""The ways to a client, as the hub needs them; :mod:`edge.clients` has the real ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.wire.closing import Disconnect

WriteEach = Callable[[Sequence[int], bytes], Sequence[tuple[int, bytes]]]
"""Sends the same whole frames through many links that hold nothing, named by their keys. Returns those that could not
take it all, each with what is left of it."""


class Client(Protocol):
    """Who sends through a link."""

    def held(self) -> None:
        """Hear that the transport holds bytes that it could not send."""
        ...

    def drained(self) -> None:
        """Hear that it holds none any more."""
        ...


class Link(Protocol):
    """What the hub needs of a connection; times are by the loop's clock."""

    key: int
    """Identifies this link among the open ones."""
    heard: float
    unsent_since: float | None

    def tell(self, client: Client) -> None:
        """Have this client told when unsent bytes are held, and when they are gone."""
        ...

    def write(self, frames: bytes) -> bool:
        """Send whole frames, or keep them until they can be sent; return False when the connection is lost."""
        ...

    def ping(self) -> None:
        """Ask for a sign of life."""
        ...

    def close(self, disconnect: Disconnect) -> None:
        """Send a close after what was begun, and wait for the client's; once is enough."""
        ...

    def abort(self) -> None:
        """Cut the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """After how many seconds of silence a peer is pinged, or taken for dead; how long it may take nothing."""

    ping: float
    dead: float
    stalled: float
