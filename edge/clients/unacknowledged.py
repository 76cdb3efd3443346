"""How long clients that acknowledge have not dealt with what they were sent.

The one that is the furthest behind is looked for among those that have acknowledged nothing for the longest: a look is
bounded, however many there are. Who turns out to have dealt with everything goes to the end of that line, so that
clients for which nothing comes hide nobody for long. Times are told: by a clock that never runs backwards, and in UTC.
"""

from collections.abc import Callable
from itertools import islice
from typing import Final, NamedTuple

from edge.fanout.session import Session
from edge.feed.position import Position
from streams.contract import Millis

LOOKS: Final = 256
"""How many clients one look is at: less than a millisecond."""


class _Acknowledged(NamedTuple):
    """What a session had dealt with, when, and how many posts it was sent by then."""

    position: Position
    at: float
    sent: int


class Unacknowledged:
    """The sessions that acknowledge, those that have not for the longest first."""

    def __init__(self) -> None:
        self._sessions: dict[Session, _Acknowledged] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._sessions)

    def note(self, session: Session, position: Position, now: float) -> None:
        """Note that a session has dealt with everything up to a position."""
        self._sessions.pop(session, None)
        self._sessions[session] = _Acknowledged(position, now, session.sent)

    def forget(self, session: Session) -> None:
        """Forget a session that has ended."""
        self._sessions.pop(session, None)

    def age(self, window_after: Callable[[Position], Millis | None], now: float, now_ms: Millis) -> float:
        """Return how old the oldest post is that a session was sent and has not acknowledged, in seconds.

        0 when there is none, as far as was looked. ``window_after`` returns the window of the first post that is
        behind a position.
        """
        oldest = 0.0
        for session, last in list(islice(self._sessions.items(), LOOKS)):
            window = window_after(last.position) if _was_sent_more(session, last) else None
            if window is None:
                self._sessions[session] = self._sessions.pop(session)
                continue
            age = (now_ms - window) / 1000
            # Of what comes behind its position not all was for it: what was, was sent since.
            oldest = max(oldest, age if session.selection is None else min(age, now - last.at))
        return oldest


def _was_sent_more(session: Session, last: _Acknowledged) -> bool:
    return session.sent > last.sent or (session.selection is None and session.position > last.position)
