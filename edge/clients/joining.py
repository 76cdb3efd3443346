"""What a client asks for when it connects, and where in the log it starts.

The plain client asks for nothing and starts at the feed's end. One that offers the subprotocol,
has a ``cursor``, wants ``history`` or is a ``device``, gets a ``welcome`` first and a cursor with each post. What
either sees is everything, or the posts of ``author``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from edge.access.grant import Grant
from edge.fanout.greetings import greet
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.position import Ahead, Cursor, Gap, Position, Resume, parse
from edge.feed.selection import BadAuthors, Selection, parse_authors, selection_of
from edge.positions.device import Device, is_name
from edge.wire.encoding import Encoding
from edge.wire.handshake import SUBPROTOCOL, Rejected
from edge.wire.websocket_encodings import PLAIN, encoding_for
from streams.contract import Offset

BAD_DEVICE: Final = "A device is called by 1 to 64 letters, digits, points, underscores, tildes and hyphens."
BAD_AUTHORS: Final = "An author is the id of a user, such as 7; of several with commas between them."

# A number of more digits is no number of posts that anybody has.
_HISTORY_DIGITS: Final = 9


class Query(Protocol):
    """A request's query, by names."""

    def get(self, key: str, /) -> str | None:
        """Return the first value of a name."""
        ...

    def getall(self, key: str, default: Sequence[str], /) -> Sequence[str]:
        """Return all values of a name."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What a client is told of its session: how the log calls it, and after how many seconds heartbeats come."""

    session: str
    heartbeat: float


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What a client wants: how it gets posts, and from where on."""

    encoding: Encoding = PLAIN
    history: int = 0
    cursor: Cursor | Gap | None = None
    """Where it was; a :class:`Gap` when what it sent is no cursor."""
    selection: Selection | None = None
    """Whose posts it sees; None for everybody's. It is what it asks for until the reception has seen to it."""
    asked: Selection | None = None
    """Whose posts it has asked for, once the reception has seen to it: where a token restricts, it sees less."""
    grant: Grant | None = None
    """What its token allows; None without a token."""
    device: str | None = None
    """What the client calls its device, if it says so."""
    seat: Device | None = None
    """Where what it acknowledges is stored, once that was seen to (:mod:`edge.clients.devices`)."""


def join_request(
    query: Query, offered: Iterable[str], *, deflated: bool = False, last_event_id: str | None = None
) -> JoinRequest | Rejected:
    """Read a WebSocket's request: its query, the subprotocols that it offers, and where its client was.

    ``deflated`` when compression was agreed.
    """
    asks = SUBPROTOCOL in offered or any(query.get(name) is not None for name in ("cursor", "history", "device"))
    return request_for(encoding_for(has_cursor=asks, is_deflated=deflated), query, last_event_id)


def request_for(encoding: Encoding, query: Query, last_event_id: str | None = None) -> JoinRequest | Rejected:
    """Read where a client wants to start, and what it wants to see, which gets posts in this encoding.

    ``Last-Event-ID`` goes before all places that the query names: a browser that comes back repeats its first query.
    """
    try:
        selection = selection_of(parse_authors(query.getall("author", ())))
    except BadAuthors:
        return Rejected(400, BAD_AUTHORS)
    device = query.get("device")
    if device is not None and not is_name(device):
        return Rejected(400, BAD_DEVICE)
    place = place_in(query, last_event_id)
    return place if isinstance(place, Rejected) else JoinRequest(encoding, *place, selection, device=device)


def place_in(query: Query, last_event_id: str | None) -> tuple[int, Cursor | Gap | None] | Rejected:
    """Return how many posts of the past are wanted, and the cursor if there is one: a gap if it is none."""
    if last_event_id:
        return 0, parse(last_event_id)
    token, history = query.get("cursor"), query.get("history")
    if token is not None and history is not None:
        return Rejected(400, "Ask for either a cursor or a history: a cursor already says where to begin.")
    if token is not None:
        return 0, parse(token)
    if history is None:
        return 0, None
    if not (history.isascii() and history.isdigit() and len(history) <= _HISTORY_DIGITS):
        return Rejected(400, "The history is a number of posts, such as 20.")
    return int(history), None


def resumption(request: JoinRequest, log: Log) -> Resume | Ahead | Gap | None:
    """Say what becomes of the request's cursor; None when it has none."""
    return log.resume(request.cursor) if isinstance(request.cursor, Cursor) else request.cursor


def at_end(
    request: JoinRequest,
    log: Log,
    end: Offset,
    terms: Terms,
    gap: Gap | None = None,
    *,
    begin: Position | None = None,
) -> Session:
    """Start a client at the feed's ``end``, as far back from there as it wants and the log has.

    ``begin`` is where the history begins if that had to be looked for (:meth:`edge.feed.log.Log.look_back`). ``gap``
    says why it does not start at its cursor. The log has read up to ``end``, or begun anew behind it: then there is a
    gap for whoever has waited for that.
    """
    if gap is None and end < log.offer_from:
        gap = Gap("interrupted")
    position = log.position_at(end)
    # The log may have forgotten a part of the history, or have begun anew, since that was looked for.
    position = log.back(position, request.history) if begin is None else min(max(begin, log.tail), position)
    return _session(request, log, position, terms, gap=gap)


def resumed(request: JoinRequest, log: Log, resume: Resume, terms: Terms, source: Log | None = None) -> Session:
    """Start a client where it was; ``source`` is what it reads there, if that is not the log."""
    return _session(request, log, resume.position, terms, source=source)


def _session(
    request: JoinRequest,
    log: Log,
    position: Position,
    terms: Terms,
    *,
    gap: Gap | None = None,
    source: Log | None = None,
) -> Session:
    session = Session(
        position,
        request.encoding,
        selection=request.selection,
        id=terms.session,
        grant=request.grant,
        asked=request.asked,
        device=request.seat,
    )
    seen = request.cursor.position if isinstance(request.cursor, Cursor) else None
    greet(session, log, terms.heartbeat, gap=None if gap is None else gap.reason, seen=seen, source=source)
    if gap is not None and request.seat is not None and isinstance(request.cursor, Cursor):
        # It may be what is stored, also where the client has brought it.
        request.seat.refute(str(request.cursor))
    return session
