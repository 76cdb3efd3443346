"""Answers what one client says: each request once, in the order of the requests.

Laws: a request that is not done is answered with an error, and the session goes on; a client that makes more than
``ERRORS`` in a minute makes no sense, and its session ends. What the edge is too busy for is none of these: how much a
client may ask for at all is bounded where it is read (:mod:`edge.wire.allowance`). What is not done has changed
nothing. An answer that is not known at once is waited for (:mod:`edge.clients.owed`): meanwhile acknowledgements are
taken, and what changes the stream waits. Time is told, in seconds of any clock that never runs backwards; this module
sends nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from msgspec import UNSET

from edge.clients.acknowledging import Acknowledging, Positions
from edge.clients.owed import MOST, Answer, Later, Owed
from edge.clients.renewing import Bearers, Renewing
from edge.clients.seldom import Seldom
from edge.clients.unacknowledged import Unacknowledged
from edge.clients.view import view
from edge.fanout.link import Client
from edge.fanout.session import Session
from edge.feed.selection import Selections, selection_of
from edge.wire.allowance import Violation
from edge.wire.closing import Disconnect
from edge.wire.encoding import Notice
from edge.wire.events import Message, TooBig
from edge.wire.messages import error, filtered
from edge.wire.requests import Ack, Code, Filter, Id, Refused, Request, Token, request_of

ERRORS: Final = 10
"""How many errors a client may make in a minute, ``busy`` not counted."""
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
    """What a client has said so far, as far as that matters.

    ``ready`` is called when an answer is known that was not: see :meth:`answers`. ``bearers`` says whose tokens are.
    Where there are ``positions``, what the client acknowledges is stored there.
    """

    __slots__ = (
        "_acknowledging", "_bearers", "_client", "_errors", "_filters", "_owed", "_positions", "_ready", "_renewing",
        "_selections", "_session", "_tally",
    )  # fmt: skip

    def __init__(
        self,
        session: Session,
        client: Client,
        tally: Tally,
        selections: Selections,
        *,
        ready: Callable[[], None],
        bearers: Bearers,
        unacknowledged: Unacknowledged,
        positions: Positions | None = None,
    ) -> None:
        self._session = session
        self._client = client
        self._tally = tally
        self._selections = selections
        self._ready = ready
        self._bearers = bearers
        self._positions = positions
        self._owed: Owed | None = None
        self._acknowledging = Acknowledging(session, positions, unacknowledged)
        # Most clients need none of these.
        self._filters: Seldom | None = None
        self._renewing: Renewing | None = None
        self._errors: Seldom | None = None

    def answer(self, said: Message | TooBig, now: float) -> Sequence[Notice] | Violation:
        """Do what is asked for, or have it wait; return :meth:`answers`."""
        action, request = self._read(said)
        self._tally.requests[action or "other"] += 1
        is_ack = isinstance(request, Request) and isinstance(request.payload, Ack)
        due: list[Answer] = []
        owed = self._owed
        if owed is not None and (len(owed) >= MOST or (owed.holds_work and not is_ack)):
            # One more may not wait: so none does.
            owed.put_off()
            due += owed.due()
        if owed is None or not len(owed):
            answer = self._done(request, now)
            if answer is not None:
                due.append(answer)
        else:
            self._done_behind(owed, request, now)
            if not is_ack:
                self._hurry(owed)
            due += owed.due()
        return self._said(due, now)

    def answers(self, now: float) -> Sequence[Notice] | Violation:
        """Return the answers that are known by now, and were not given; a :class:`Violation` is the end."""
        return () if self._owed is None else self._said(self._owed.due(), now)

    def leave(self) -> None:
        """Hear that the session has ended: nobody gets what is still owed."""
        self._acknowledging.leave()

    def _read(self, said: Message | TooBig) -> tuple[str | None, Request | Refused]:
        if isinstance(said, TooBig):
            return None, Refused(UNSET, "too_big", "the message has too many bytes")
        if not said.is_text:
            return None, Refused(UNSET, "bad_message", "a request is text")
        return request_of(said.data)

    def _said(self, due: Iterable[Answer], now: float) -> Sequence[Notice] | Violation:
        """Return the messages for answers whose turn has come, unless they are one error too many."""
        notices: list[Notice] = []
        for answer in due:
            if isinstance(answer, Notice):
                notices.append(answer)
                continue
            self._tally.errors[answer.code] += 1
            if answer.code != "busy" and self._is_one_too_many(now):
                return NONSENSE
            notices.append(error(answer))
        return notices

    def _done_behind(self, owed: Owed, request: Request | Refused, now: float) -> None:
        """Do a request while others wait for their answers; one that changes the stream waits itself."""
        if isinstance(request, Request) and isinstance(request.payload, Filter):
            owed.add(partial(self._filtered, request, request.payload.authors or [], now))
            return
        if isinstance(request, Request) and isinstance(request.payload, Token):
            answer = self._renewed(request.id, request.payload.token, now)
        else:
            answer = self._done(request, now)
        if answer is not None:
            owed.add(answer)

    def _hurry(self, owed: Owed) -> None:
        """See to it that what is owed does not keep others waiting."""
        device = self._session.device
        if self._positions is None or device is None:
            return
        if self._positions.is_away:
            owed.put_off()
        else:
            self._positions.hurry(device, partial(self._put_off, owed))

    def _put_off(self, owed: Owed) -> None:
        owed.put_off()
        self._ready()

    def _done(self, request: Request | Refused, now: float) -> Answer | None:
        """Do a request; return its answer, None for one that is owed."""
        if isinstance(request, Refused):
            return request
        match request.payload:
            case Ack(cursor):
                return self._acknowledging.answer(request.id, cursor, now, self._later)
            case Filter(authors):
                return self._filtered(request, authors or [], now)
            case Token(token):
                answer = self._renewed(request.id, token, now)
                return answer() if callable(answer) else answer

    def _later(self, id: Id) -> Later:  # noqa: A002 - as it is called in the message
        """Owe an answer that is not known yet."""
        if self._owed is None:
            self._owed = Owed(self._ready)
        return self._owed.later(id)

    def _filtered(self, request: Request, authors: list[int], now: float) -> Answer:
        self._filters = self._filters or Seldom(FILTERS, FILTERS_SECONDS)
        if not self._filters.allows(now):
            return Refused(request.id, "busy", "the filter was changed too often; ask again in a second")
        found = view(self._selections, self._session.grant, selection_of(authors))
        if found is None:
            return Refused(request.id, "busy", "the server has as many authors in filters as it takes")
        cursor = self._client.select(found.selection)
        if cursor is None:
            return Refused(request.id, "busy", "the connection takes nothing now; ask again in a second")
        self._session.asked = found.asked
        return filtered(request.id, 0 if found.asked is None else len(found.asked), cursor)

    def _renewed(self, id: Id, token: str, now: float) -> Answer | Callable[[], Answer] | None:  # noqa: A002
        """Find out what another token allows, and return what goes on with it; None when that is not known yet."""
        if self._renewing is None:
            self._renewing = Renewing(self._session, self._client, self._selections, self._bearers)
        return self._renewing.begin(id, token, now, self._later)

    def _is_one_too_many(self, now: float) -> bool:
        self._errors = self._errors or Seldom(ERRORS, _MINUTE)
        return not self._errors.allows(now)
