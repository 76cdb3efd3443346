"""Records of the feed as tests need them, and a client's eyes for what is sent."""

import json
from pathlib import Path
from typing import Any, Final

import msgspec
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from edge.feed.log import Log
from edge.feed.position import Cursor, Position, parse, position_of, stamp_of
from edge.feed.reads import Reading
from edge.wire.encoding import Encoding
from edge.wire.event_encodings import EventEncoding
from edge.wire.messages import welcome
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import CREATED, FeedRecord, Offset, Publication, encode_feed
from tests.events import events
from tests.strict import Reader

GREETING: Final = CURSOR.notice(welcome("c", session="s", heartbeat=25))
"""A welcome to a client with cursors."""
GOLDEN = Path(__file__).parents[2] / "golden"


def publication(number: int, action: str = CREATED, text: str = "", author: int | None = None) -> Publication:
    """Make a publication whose payload is its id, and a text to make it longer."""
    payload = {"id": number, "text": text} if text else {"id": number}
    return Publication(action, number, msgspec.Raw(msgspec.json.encode(payload)), author)


def record(*publications: int | Publication) -> bytes:
    """Encode a record; a number stands for the creation of that post."""
    made = [publication(one) if isinstance(one, int) else one for one in publications]
    return encode_feed(FeedRecord(window=0, publications=made))


def frames(data: bytes, encoding: Encoding = PLAIN) -> list[Frame]:
    """Parse what a server sent to a client of this encoding: whole frames, to the letter."""
    # As our answer to an offer says it: the server may refer back, the client does not.
    reader = Reader([PerMessageDeflate(False, True, 15, 15)] if encoding.stream_bytes else [])
    received = reader.feed(data)
    reader.end()
    return received


def messages(data: bytes, encoding: Encoding = PLAIN) -> list[Any]:
    """Parse text messages, or events: the position that a client then has is put where a WebSocket's client has it."""
    if isinstance(encoding, EventEncoding):
        return [each.message | {"cursor": each.last_event_id} for each in events(data)]
    received = frames(data, encoding)
    assert all(frame.opcode is Opcode.TEXT for frame in received)
    return [json.loads(bytes(frame.data)) for frame in received]


def standing(payload: dict[str, Any]) -> dict[str, Any]:
    """Return what a welcome's payload says about what follows: whether it is whole, from where, and why not."""
    return {name: payload[name] for name in ("recovered", "cursor", "reason") if name in payload}


def ids(data: bytes, encoding: Encoding = PLAIN) -> list[int]:
    """Name the posts that were sent."""
    return [message["payload"]["id"] for message in messages(data, encoding)]


def log_of(*records: bytes, first: int = 0, limit: int = 1 << 20, reach: int = 1000) -> Log:
    """Make a log that has read ``records`` from offset ``first`` on, and offers all of them."""
    log = Log(limit=limit, reach=reach)
    log.begin(Offset(first), Offset(first))
    for index, value in enumerate(records):
        log.append(Offset(first + index), value)
    return log


def cursor(offset: int, index: int, value: bytes) -> Cursor:
    """Make the cursor after so many publications of record ``offset``, which has this value."""
    return Cursor(position_of(Offset(offset), index), stamp_of(value))


def parse_cursor(token: str) -> Cursor:
    """Read a token that an edge gave."""
    parsed = parse(token)
    assert isinstance(parsed, Cursor)
    return parsed


def at(offset: int, index: int) -> Position:
    """Make the position after so many publications of record ``offset``."""
    return position_of(Offset(offset), index)


def after(log: Log, posts: int) -> Position:
    """Return the position after so many posts that the log has."""
    return log.back(log.head, len(ids(everything(log, log.tail))) - posts)


def text_of(encoding: Encoding) -> Encoding:
    """Return the encoding with the same messages, not compressed."""
    return CURSOR if encoding.has_cursor else PLAIN


def everything(log: Log, position: int, encoding: Encoding = PLAIN, limit: int = 1 << 16) -> bytes:
    """Read from ``position`` to the head, as a client does that takes whatever comes."""
    data, at = b"", Position(position)
    while at < log.head:
        chunk = log.read(at, Reading(encoding), limit)
        assert chunk.position > at
        data, at = data + chunk.data, chunk.position
    return data
