"""What the edge says, as JSON text, whatever the transport."""

from datetime import UTC, datetime
from typing import Final, get_args

import msgspec
from msgspec import UNSET

from edge.wire import forms
from edge.wire.encoding import Notice
from edge.wire.requests import Id, Refused
from streams.contract import Publication

_encode: Final = msgspec.json.Encoder().encode
_ACTIONS: Final = {form: str(form.__struct_config__.tag) for form in get_args(forms.Form)}


def message(publication: Publication) -> bytes:
    """Encode what a client gets for ``publication``: its payload is taken over as it is."""
    return b'{"action":%b,"payload":%b}' % (_encode(publication.action), bytes(publication.payload))


def with_cursor(plain: bytes, cursor: str, window: int) -> bytes:
    """Add a cursor and the start of the window (ms) to a message made by :func:`message`; tokens need no escaping."""
    return b'%b,"cursor":"%b","window":%d}' % (plain[:-1], cursor.encode(), window)


def with_window(plain: bytes, window: int) -> bytes:
    """Add the start of the window (ms) alone, where the transport carries the cursor."""
    return b'%b,"window":%d}' % (plain[:-1], window)


def end(code: int, reason: str, cursor: str) -> Notice:
    """Make the last message, for a transport that has no closes of its own; ``code`` is a close code."""
    return _noticed(forms.End(forms.Ending(code, reason)), cursor)


def welcome(
    cursor: str,
    *,
    session: str,
    heartbeat: float,
    behind: int = 0,
    gap: forms.Why | None = None,
    lost: int | None = None,
    expires_at: float | None = None,
) -> Notice:
    """Make the message that says where a client stands, and why not where it wanted to be.

    ``session`` identifies the session in the log; ``heartbeat`` is in seconds. ``behind`` is how many records of the
    feed there are between the cursor and the feed's end, ``lost`` how many are missing before it, if that is known.
    ``expires_at`` is when the client's token does, in seconds since 1970 in UTC; None if it does not.
    """
    standing = forms.Standing(
        recovered=gap is None,
        cursor=cursor,
        session=session,
        heartbeat=int(heartbeat) if heartbeat == int(heartbeat) else heartbeat,
        behind=behind,
        reason=UNSET if gap is None else gap,
        lost=UNSET if lost is None else forms.Lost(lost),
        expires_at=UNSET if expires_at is None else _time(expires_at),
    )
    return _noticed(forms.Welcome(standing), cursor)


def caught_up(cursor: str) -> Notice:
    """Make the message that says that a client has passed the end that the feed had when its session began."""
    return _noticed(forms.CaughtUp(forms.Nothing(), cursor), cursor)


def heartbeat(cursor: str, second: int) -> Notice:
    """Make the message for a client that was sent none for a while; ``second`` is since 1970 in UTC."""
    return _noticed(forms.Heartbeat(forms.Beat(_time(second)), cursor), cursor)


def expiring(expires_at: float, cursor: str) -> Notice:
    """Make the message that a client's token expires at that time, in seconds since 1970 in UTC."""
    return _noticed(forms.Expiring(forms.Expiry(_time(expires_at))), cursor)


def authorized(id: Id, expires_at: float | None) -> Notice:  # noqa: A002 - as it is called in the message
    """Make the answer to a client that goes on with another token, which expires then, or never."""
    return _noticed(forms.Authorized(id=id, payload=forms.Renewal(UNSET if expires_at is None else _time(expires_at))))


def acked(id: Id, position: str) -> Notice:  # noqa: A002 - as it is called in the message
    """Make the answer to a client that has dealt with everything up to ``position``, a cursor."""
    return _noticed(forms.Acked(id=id, payload=forms.Stored(position)))


def filtered(id: Id, authors: int, cursor: str) -> Notice:  # noqa: A002
    """Make the answer to a client that has chosen so many authors, 0 for all: they choose what follows this message."""
    return _noticed(forms.Filtered(id=id, payload=forms.Chosen(authors), cursor=cursor), cursor)


def error(refused: Refused) -> Notice:
    """Make the answer to a request that is not done."""
    return _noticed(forms.Error(id=refused.id, payload=forms.Reason(refused.code, refused.sentence)))


def _time(seconds: float) -> str:
    """Write a time since 1970 in UTC as RFC 3339 does, in whole seconds."""
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _noticed(said: forms.Form, cursor: str = "") -> Notice:
    """Make a notice of a message; one without a place in the feed has no cursor."""
    return Notice(_ACTIONS[type(said)], _encode(said), cursor)
