"""Links that are no sockets, and a loop that is turned by hand."""

from collections import deque
from collections.abc import Callable, Sequence

from edge.fanout.hub import SLICE_SECONDS, Hub
from edge.fanout.link import Client
from edge.feed.log import Log
from edge.wire.closing import Disconnect
from tests.edge.kit.records import ids


class Line:
    """A link that takes ``room`` bytes and then holds what is written until :meth:`drain`."""

    def __init__(self, turns: "Turns", room: float = float("inf")) -> None:
        self.turns = turns
        self.room = room
        self.key = len(turns.lines)
        turns.lines.append(self)
        self.heard = turns.now
        self.unsent_since: float | None = None
        self.client: Client | None = None
        self.written: list[bytes] = []
        self._left = b""
        self.pings = 0
        self.ends: list[Disconnect | str] = []
        self.is_lost = False
        """Whether the peer is gone, which is found out by writing."""

    def take(self, frames: bytes) -> bytes:
        """Take what there is room for and return the rest; each write costs a tenth of a slice."""
        assert self.unsent_since is None
        self.turns.now += SLICE_SECONDS / 10
        if self.is_lost:
            return frames
        self.written.append(frames)
        self.turns.written.append(self)
        self._left = frames[int(max(0, min(self.room, len(frames)))) :]
        self.room -= len(frames)
        return self._left

    def write(self, frames: bytes) -> bool:
        """Take it all; or hold the rest of what was written last."""
        if self.is_lost:
            return False
        left = frames if frames is self._left else self.take(frames)
        self._left = b""
        if left:
            self.unsent_since = self.turns.now
            assert self.client is not None
            self.client.held()
        return True

    def drain(self, room: float = float("inf")) -> None:
        """Be rid of what was held."""
        self.unsent_since, self.room = None, room
        assert self.client is not None
        self.client.drained()

    def tell(self, client: Client) -> None:
        """Note whom to tell."""
        self.client = client

    def ping(self) -> None:
        """Count it."""
        self.pings += 1

    def close(self, disconnect: Disconnect) -> None:
        """Note it once, as a connection does."""
        if not self.ends:
            self.ends.append(disconnect)

    def abort(self) -> None:
        """Note it."""
        self.ends.append("aborted")

    @property
    def got(self) -> list[int]:
        """The posts that were written."""
        return ids(b"".join(self.written))


class Turns:
    """A loop: its clock, and what is to be called soon."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.due: deque[Callable[[], None]] = deque()
        self.lines: list[Line] = []
        self.written: list[Line] = []
        """Who was written to, in this order."""

    def write_each(self, keys: Sequence[int], frames: bytes) -> list[tuple[int, bytes]]:
        """Write to several lines."""
        return [(key, rest) for key in keys if (rest := self.lines[key].take(frames))]

    def turn(self) -> None:
        """Call what was due, as a loop does in one turn."""
        for _ in range(len(self.due)):
            self.due.popleft()()


def hub_of(log: Log, turns: Turns, write_bytes: int) -> Hub:
    """Make a hub on that loop, with cohorts so small that there are several."""
    clock, soon = lambda: turns.now, turns.due.append
    return Hub(log, write_bytes=write_bytes, write_each=turns.write_each, clock=clock, soon=soon, together=4)
