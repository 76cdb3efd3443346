"""What the edge says, as JSON text, whatever the transport."""

from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import UnsetType

from edge.wire.encoding import Notice
from edge.wire.requests import Id, Refused
from streams.contract import Publication

_encode: Final = msgspec.json.Encoder().encode


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
    return Notice("end", _encode({"action": "end", "payload": {"code": code, "reason": reason}}), cursor)


def welcome(
    cursor: str, *, session: str, heartbeat: float, behind: int = 0, gap: str | None = None, lost: int | None = None
) -> Notice:
    """Make the message that says where a client stands, and why not where it wanted to be.

    ``session`` identifies the session in the log; ``heartbeat`` is in seconds. ``behind`` is how many records of the
    feed there are between the cursor and the feed's end, ``lost`` how many are missing before it, if that is known.
    """
    payload: dict[str, object] = {
        "recovered": gap is None,
        "cursor": cursor,
        "session": session,
        "heartbeat": int(heartbeat) if heartbeat == int(heartbeat) else heartbeat,
        "behind": behind,
    }
    if gap is not None:
        payload["reason"] = gap
    if lost is not None:
        payload["lost"] = {"records": lost}
    return Notice("welcome", _encode({"action": "welcome", "payload": payload}), cursor)


def caught_up(cursor: str) -> Notice:
    """Make the message that says that a client has passed the end that the feed had when its session began."""
    return _placed("caught_up", {}, cursor)


def heartbeat(cursor: str, second: int) -> Notice:
    """Make the message for a client that was sent none for a while; ``second`` is since 1970 in UTC."""
    return _placed("heartbeat", {"time": f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"}, cursor)


def acked(id: Id, position: str) -> Notice:  # noqa: A002 - as it is called in the message
    """Make the answer to a client that has dealt with everything up to ``position``, a cursor."""
    return _answered("acked", id, {"position": position})


def error(refused: Refused) -> Notice:
    """Make the answer to a request that is not done."""
    return _answered("error", refused.id, {"code": refused.code, "message": refused.sentence})


def _answered(action: str, id: Id, payload: dict[str, object]) -> Notice:  # noqa: A002
    """Make an answer that has no place in the feed; one to a request without an id has none."""
    known = {} if isinstance(id, UnsetType) else {"id": id}
    return Notice(action, _encode({"action": action, **known, "payload": payload}))


def _placed(action: str, payload: dict[str, object], cursor: str) -> Notice:
    """Make a notice with its cursor beside the action, as posts have it."""
    return Notice(action, _encode({"action": action, "payload": payload, "cursor": cursor}), cursor)
