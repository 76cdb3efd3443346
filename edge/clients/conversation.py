"""Answers what one client says: each request once, in the order of the requests.

Laws: a request that is not done is answered with an error, and the session goes on; a client that makes more than
``ERRORS`` in a minute makes no sense, and its session ends. What is not done has changed nothing. Time is told, in
seconds of any clock that never runs backwards; this module sends nothing.
"""

from collections import Counter, deque
from typing import Final

from msgspec import UNSET

from edge.fanout.session import Session
from edge.feed.position import Cursor, parse
from edge.wire.allowance import Violation
from edge.wire.closing import Disconnect
from edge.wire.encoding import Notice
from edge.wire.events import Message, TooBig
from edge.wire.messages import acked, error
from edge.wire.requests import Ack, Code, Refused, Request, request_of

ERRORS: Final = 10
"""How many errors a client may make in a minute."""
_MINUTE: Final = 60.0

NONSENSE: Final = Violation("errors", Disconnect(4500, f"more than {ERRORS} errors in a minute"))


class Tally:
    """Counts the requests of all clients: done or not, by action (``other`` for an unknown one), and errors by code."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.errors: Counter[Code] = Counter()


class Conversation:
    """What a client has said so far, as far as that matters."""

    __slots__ = ("_errors", "_session", "_tally")

    def __init__(self, session: Session, tally: Tally) -> None:
        self._session = session
        self._tally = tally
        self._errors: deque[float] | None = None

    def answer(self, said: Message | TooBig, now: float) -> Notice | Violation:
        """Do what is asked for, and say so or why not; a :class:`Violation` is the end."""
        action, done = self._read(said)
        self._tally.requests[action or "other"] += 1
        answer = self._done(done) if isinstance(done, Request) else done
        if isinstance(answer, Notice):
            return answer
        self._tally.errors[answer.code] += 1
        return NONSENSE if self._is_one_too_many(now) else error(answer)

    def _read(self, said: Message | TooBig) -> tuple[str | None, Request | Refused]:
        if isinstance(said, TooBig):
            return None, Refused(UNSET, "too_big", "the message has too many bytes")
        if not said.is_text:
            return None, Refused(UNSET, "bad_message", "a request is text")
        return request_of(said.data)

    def _done(self, request: Request) -> Notice | Refused:
        """Do a request."""
        match request.payload:
            case Ack(cursor):
                return self._acked(request, cursor)

    def _acked(self, request: Request, token: str) -> Notice | Refused:
        cursor = parse(token)
        if not isinstance(cursor, Cursor):
            return Refused(request.id, "bad_cursor", "the cursor is none")
        if cursor.position > self._session.position:
            return Refused(request.id, "bad_cursor", "the cursor is beyond what this session was sent")
        # Nothing stores it: it is known to the client alone, and safe there.
        return acked(request.id, token)

    def _is_one_too_many(self, now: float) -> bool:
        if self._errors is None:
            # Most clients make none.
            self._errors = deque(maxlen=ERRORS)
        errors = self._errors
        is_full = len(errors) == ERRORS and now - errors[0] < _MINUTE
        errors.append(now)
        return is_full
