"""Sends heartbeats: to all clients at one place that are due in the same second, the same bytes."""

from collections.abc import Callable

from edge.fanout.member import Member
from edge.fanout.sources import log_of
from edge.feed.log import Log
from edge.feed.position import Position
from edge.wire.encoding import Encoding
from edge.wire.messages import heartbeat


class Heartbeats:
    """Makes heartbeats and counts those that were ``sent``; ``clock`` returns the seconds since 1970 in UTC."""

    def __init__(self, log: Log, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._newest: dict[Encoding, tuple[Position, int, bytes]] = {}
        self.sent = 0

    def send(self, member: Member) -> None:
        """Send a heartbeat to a client whose transport holds nothing.

        Before its greeting it gets none, nor when the log has moved past it: it has no cursor that it could be told.
        """
        session = member.session
        log = log_of(session.progress, self._log)
        if session.is_greeted and session.position >= log.tail:
            self.sent += member.link.write(self._frame(log, session.position, session.encoding))

    def _frame(self, log: Log, position: Position, encoding: Encoding) -> bytes:
        second = int(self._clock())
        made = self._newest.get(encoding)
        if made is None or made[:2] != (position, second):
            told = heartbeat(str(log.cursor_at(position)), second)
            made = self._newest[encoding] = position, second, encoding.notice(told)
        return made[2]
