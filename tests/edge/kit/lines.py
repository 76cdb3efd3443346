"""Links that are no sockets, and a loop that is turned by hand."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.fanout.deadlines import Patience
from edge.fanout.ending import End
from edge.fanout.hub import Hub
from edge.fanout.link import Client
from edge.fanout.rounds import HEAD_SECONDS
from edge.feed.log import Log
from tests.edge.kit.records import messages

WRITE_SECONDS = HEAD_SECONDS / 10
"""What each write takes of the clock: ten of them are a slice of the live feed."""
CLOSE_SECONDS = 5.0
PATIENCE = Patience(ping=20, dead=60, stalled=600)
NEVER = Patience(ping=1e9, dead=2e9, stalled=1e9)


class Line:
    """A link that takes ``room`` bytes and then holds what is written until :meth:`drain`."""

    def __init__(self, turns: "Turns", room: float = float("inf")) -> None:
        self.turns = turns
        self.room = room
        self.key = len(turns.lines)
        turns.lines.append(self)
        self.heard = turns.now
        self.unsent_since: float | None = None
        self.close_by: float | None = None
        self.client: Client | None = None
        self.written: list[bytes] = []
        self._left = b""
        self.pings = 0
        self.ends: list[End | str] = []
        self.is_lost = False
        """Whether the peer is gone, which is found out by writing."""

    def take(self, frames: bytes) -> bytes:
        """Take what there is room for and return the rest; each write costs a tenth of a slice."""
        assert self.unsent_since is None
        self.turns.now += WRITE_SECONDS
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
            self.client.pause_writing()
        return True

    def drain(self, room: float = float("inf")) -> None:
        """Be rid of what was held: who was closed is told nothing of it, and what was cut holds nothing more."""
        self.unsent_since, self.room = None, room
        if not self.ends:
            assert self.client is not None
            self.client.resume_writing()
        elif not self.is_cut:
            self._await_close()

    @property
    def is_cut(self) -> bool:
        """Whether the connection was cut, and is as good as lost."""
        return "aborted" in self.ends

    def attach(self, client: Client) -> None:
        """Note whom to tell."""
        self.client = client

    def ping(self) -> None:
        """Count it."""
        self.pings += 1

    def close(self, end: End) -> None:
        """Note it once, and wait for the client, as a connection does."""
        if not self.ends:
            self.turns.now += WRITE_SECONDS
            self.ends.append(end)
            self._await_close()

    def _await_close(self) -> None:
        if self.unsent_since is None and self.close_by is None:
            self.close_by = self.turns.now + CLOSE_SECONDS
            assert self.client is not None
            self.client.expect_close()

    def abort(self, end: End) -> None:
        """Note it."""
        self.ends += [end, "aborted"] if not self.ends else ["aborted"]

    @property
    def got(self) -> list[int]:
        """The posts that were written."""
        received = messages(b"".join(self.written))
        return [message["payload"]["id"] for message in received if message["action"] == "created"]


@dataclass(eq=False)
class Alarm:
    """A call to come at a time."""

    when: float
    callback: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        """Have it not come."""
        self.is_cancelled = True


class Turns:
    """A loop: its clock, what is to be called soon, and what at a time."""

    def __init__(self, tick: float = 0) -> None:
        self.now = 1000.0
        self.tick = tick
        """How far the clock goes on when it is looked at."""
        self.due: deque[Callable[[], None]] = deque()
        self.alarms: list[Alarm] = []
        self.lines: list[Line] = []
        self.written: list[Line] = []
        """Who was written to, in this order."""

    def time(self) -> float:
        """Return the time."""
        self.now += self.tick
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call it in the next turn."""
        self.due.append(callback)

    def call_at(self, when: float, callback: Callable[[], None]) -> Alarm:
        """Call it then."""
        self.alarms.append(Alarm(when, callback))
        return self.alarms[-1]

    def write_each(self, keys: Sequence[int], frames: bytes) -> list[tuple[int, bytes]]:
        """Write to several lines."""
        return [(key, rest) for key in keys if (rest := self.lines[key].take(frames))]

    def turn(self) -> None:
        """Call what is due, as a loop does in one turn."""
        self.alarms = [alarm for alarm in self.alarms if not alarm.is_cancelled]
        for alarm in [alarm for alarm in self.alarms if alarm.when <= self.now]:
            self.alarms.remove(alarm)
            if not alarm.is_cancelled:
                self.due.append(alarm.callback)
        for _ in range(len(self.due)):
            self.due.popleft()()

    def rest(self) -> None:
        """Turn until nothing is due now."""
        self.turn()
        while self.due:
            self.turn()

    def sleep(self, seconds: float) -> None:
        """Let time pass, and turn whenever something is due."""
        end = self.now + seconds
        self.rest()
        while self.alarms and (when := min(alarm.when for alarm in self.alarms)) <= end:
            self.now = max(self.now, when)
            self.rest()
        self.now = max(self.now, end)


def hub_of(log: Log, turns: Turns, write_bytes: int = 1 << 16, patience: Patience = PATIENCE) -> Hub:
    """Make a hub on that loop, with cohorts so small that there are several; half of all jitter is added.

    In UTC it is as many seconds after 1970 as by the loop's clock.
    """
    return Hub(
        log,
        write_bytes=write_bytes,
        write_each=turns.write_each,
        patience=patience,
        loop=turns,
        cohort_size=4,
        share=lambda: 0.5,
        clock=lambda: turns.now,
    )
