"""Answers what one client says: each request once, in the order of the requests.

Laws: a request that is not done is answered with an error, and the session goes on; a client that makes more than
``ERRORS`` in a minute makes no sense, and its session ends. What is not done has changed nothing. Time is told, in
seconds of any clock that never runs backwards; this module sends nothing.
"""

from collections import Counter, deque
from typing import Final

from msgspec import UNSET

from edge.fanout.link import Client
from edge.fanout.session import Session
from edge.feed.position import Cursor, parse
from edge.feed.selection import Selections, seen, selection_of
from edge.wire.allowance import Violation
from edge.wire.closing import Disconnect
from edge.wire.encoding import Notice
from edge.wire.events import Message, TooBig
from edge.wire.messages import acked, error, filtered
from edge.wire.requests import Ack, Code, Filter, Refused, Request, request_of

ERRORS: Final = 10
"""How many errors a client may make in a minute."""
_MINUTE: Final = 60.0
FILTERS: Final = 4
"""How many times a client may choose another filter in ``FILTERS_SECONDS``."""
FILTERS_SECONDS: Final = 0.5
"""A filter of 3,000 authors takes some 0.5 ms to read: so what 16 clients send at once takes no turn too long."""

NONSENSE: Final = Violation("errors", Disconnect(4500, f"more than {ERRORS} errors in a minute"))


class Tally:
    """Counts the requests of all clients: done or not, by action (``other`` for an unknown one), and errors by code."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.errors: Counter[Code] = Counter()


class Conversation:
    """What a client has said so far, as far as that matters."""

    __slots__ = ("_client", "_errors", "_filters", "_selections", "_session", "_tally")

    def __init__(self, session: Session, client: Client, tally: Tally, selections: Selections) -> None:
        self._session = session
        self._client = client
        self._tally = tally
        self._selections = selections
        self._filters: deque[float] | None = None
        self._errors: deque[float] | None = None

    def answer(self, said: Message | TooBig, now: float) -> Notice | Violation:
        """Do what is asked for, and say so or why not; a :class:`Violation` is the end."""
        action, done = self._read(said)
        self._tally.requests[action or "other"] += 1
        answer = self._done(done, now) if isinstance(done, Request) else done
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

    def _done(self, request: Request, now: float) -> Notice | Refused:
        """Do a request."""
        match request.payload:
            case Ack(cursor):
                return self._acked(request, cursor)
            case Filter(authors):
                return self._filtered(request, authors or [], now)

    def _acked(self, request: Request, token: str) -> Notice | Refused:
        cursor = parse(token)
        if not isinstance(cursor, Cursor):
            return Refused(request.id, "bad_cursor", "the cursor is none")
        if cursor.position > self._session.position:
            return Refused(request.id, "bad_cursor", "the cursor is beyond what this session was sent")
        # Nothing stores it: it is known to the client alone, and safe there.
        return acked(request.id, token)

    def _filtered(self, request: Request, authors: list[int], now: float) -> Notice | Refused:
        if self._filters is None:
            self._filters = deque(maxlen=FILTERS)
        if len(self._filters) == FILTERS and now - self._filters[0] < FILTERS_SECONDS:
            return Refused(request.id, "busy", "the filter was changed too often; ask again in a second")
        self._filters.append(now)
        selection = selection_of(authors)
        if selection is not None and (selection := self._selections.the(selection)) is None:
            return Refused(request.id, "busy", "the server has as many authors in filters as it takes")
        cursor = self._client.select(seen(None, selection))
        if cursor is None:
            return Refused(request.id, "busy", "the connection takes nothing now; ask again in a second")
        return filtered(request.id, 0 if selection is None else len(selection), cursor)

    def _is_one_too_many(self, now: float) -> bool:
        if self._errors is None:
            # Most clients make none.
            self._errors = deque(maxlen=ERRORS)
        errors = self._errors
        is_full = len(errors) == ERRORS and now - errors[0] < _MINUTE
        errors.append(now)
        return is_full
