"""What the edge says, as JSON text, whatever the transport."""

from typing import Final

import msgspec

from edge.wire.encoding import Notice
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


def welcome(cursor: str, gap: str | None = None) -> Notice:
    """Make the message that says where a client stands, and why not where it wanted to be."""
    payload: dict[str, object] = {"recovered": gap is None, "cursor": cursor}
    if gap is not None:
        payload["reason"] = gap
    return Notice("welcome", _encode({"action": "welcome", "payload": payload}), cursor)
