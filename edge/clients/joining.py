"""What a client asks for when it connects, and where in the log it starts.

The plain client asks for nothing and starts at the feed's end. One that offers the subprotocol,
or has a ``cursor`` or wants ``history``, gets a ``welcome`` first and a cursor with each post.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.position import Ahead, Cursor, Gap, Position, Resume, parse
from edge.wire.frames import Form, welcome
from edge.wire.handshake import Rejected
from streams.contract import Offset

SUBPROTOCOL: Final = "postcast.v1"

# A number of more digits is no number of posts that anybody has.
_HISTORY_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client wants: how it gets posts, and from where on."""

    form: Form = Form.PLAIN
    history: int = 0
    cursor: Cursor | Gap | None = None
    """Where it was; a :class:`Gap` when what it sent is no cursor."""


def wish_of(query: Mapping[str, str], offered: Iterable[str], *, deflated: bool = False) -> Wish | Rejected:
    """Read a request's query and the subprotocols that it offers; ``deflated`` when compression was agreed."""
    token, history = query.get("cursor"), query.get("history")
    asks = token is not None or history is not None or SUBPROTOCOL in offered
    form = Form.CURSOR if asks else Form.PLAIN
    if deflated:
        form = form.deflated
    if token is not None and history is not None:
        return Rejected(400, "Ask for either a cursor or a history: a cursor already says where to begin.")
    if token is not None:
        return Wish(form, cursor=parse(token))
    if history is not None:
        if not (history.isascii() and history.isdigit() and len(history) <= _HISTORY_DIGITS):
            return Rejected(400, "The history is a number of posts, such as 20.")
        return Wish(form, history=int(history))
    return Wish(form)


def resumption(wish: Wish, log: Log) -> Resume | Ahead | Gap | None:
    """Say what becomes of the wish's cursor; None when it has none."""
    return log.resume(wish.cursor) if isinstance(wish.cursor, Cursor) else wish.cursor


def at_end(wish: Wish, log: Log, end: Offset, gap: Gap | None = None) -> Session:
    """Start a client at the feed's ``end``, as far back from there as it wants and the log has.

    ``gap`` says why it does not start at its cursor. The log has read up to ``end``, or begun anew
    behind it: then there is a gap for whoever has waited for that.
    """
    if gap is None and end < log.offer_from:
        gap = Gap("interrupted")
    position = Position(max(log.position_at(end) - wish.history, log.tail))
    return _session(wish, log, position, gap)


def resumed(wish: Wish, log: Log, resume: Resume) -> Session:
    """Start a client where it was."""
    return _session(wish, log, resume.position, None)


def _session(wish: Wish, log: Log, position: Position, gap: Gap | None) -> Session:
    if not wish.form.has_cursor:
        return Session(position, wish.form)
    return Session(position, wish.form, welcome(str(log.cursor_at(position)), None if gap is None else gap.reason))
