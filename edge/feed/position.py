"""A place in the raw feed, and its token as a resume cursor that every edge understands.

A position is the place after some publications of a raw record: ``offset << 20 | index``, the place after ``index``
publications of record ``offset``. It is ordered as the feed is, in every log and on every edge, and it says nothing
about how many posts an edge showed. Laws:

* A place has one position. The place after a record's last publication is (offset, count), and never (offset + 1, 0);
  index 0 occurs only where no publication before is known: at the feed's beginning, and behind a hole.
* A cursor is a position with a ``stamp``: a hash over the raw record, since offsets alone cannot tell "this client is
  current" from "the topic was made anew". Where index is 0 there is no record to hash, and the stamp is zero.
* A token is 20 bytes in lower-case base32hex, 32 characters that no URL has to escape: the offset, the index and the
  stamp, in network order. So tokens sorted by their bytes are sorted by position; equal cursors have equal tokens.

A token is not signed: it grants nothing that connecting without one does not.
"""

from base64 import b32hexdecode, b32hexencode
from dataclasses import dataclass
from hashlib import blake2b
from struct import Struct
from typing import Final, Literal, NewType

from streams.contract import Offset

Position = NewType("Position", int)
"""A place in the raw feed, comparable on every edge."""

Reason = Literal["invalid", "expired", "recreated", "unknown", "interrupted"]
"""Why what follows a cursor cannot be replayed whole: it is no cursor; the log has forgotten what
follows it; it belongs to another record of that offset; there is no such record yet; the edge
itself missed a part of the feed."""

# Eight bytes: two different records agree by chance once in 2^64; forging one gains nothing.
_STAMP_BYTES: Final = 8
NO_STAMP: Final = bytes(_STAMP_BYTES)

_INDEX_BITS: Final = 20
MAX_PUBLICATIONS: Final = (1 << _INDEX_BITS) - 1
"""How many publications a record may have: the place after each of them needs an index."""

_LAYOUT: Final = Struct(f"!QI{_STAMP_BYTES}s")
_TOKEN_LENGTH: Final = _LAYOUT.size * 8 // 5


def position_of(offset: Offset, index: int) -> Position:
    """Return the place after ``index`` publications of record ``offset``."""
    return Position(offset << _INDEX_BITS | index)


def place_of(position: Position) -> tuple[Offset, int]:
    """Return the record's offset and how many of its publications are before the position."""
    return Offset(position >> _INDEX_BITS), position & MAX_PUBLICATIONS


def first_behind(position: Position) -> Offset:
    """Return the first record of which nothing is before the position."""
    offset, index = place_of(position)
    return Offset(offset + 1 if index else offset)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position and the stamp of its record; ``str()`` is its token."""

    position: Position
    stamp: bytes = NO_STAMP

    def __str__(self) -> str:
        return b32hexencode(_LAYOUT.pack(*place_of(self.position), self.stamp)).decode().lower()


@dataclass(frozen=True, slots=True)
class Resume:
    """All that follows the cursor is in the log, from this position on."""

    position: Position


@dataclass(frozen=True, slots=True)
class Ahead:
    """The cursor stands beyond what was read: ask again once the log has read up to ``offset`` (excluded)."""

    offset: Offset


@dataclass(frozen=True, slots=True)
class Gap:
    """What follows the cursor cannot be replayed whole, and why."""

    reason: Reason


def before(offset: Offset) -> Cursor:
    """Return the cursor of everything before record ``offset``, whatever it will be: no record before it is known."""
    return Cursor(position_of(offset, 0))


def stamp_of(value: bytes) -> bytes:
    """Hash a raw record."""
    return blake2b(value, digest_size=_STAMP_BYTES).digest()


def parse(token: str) -> Cursor | Gap:
    """Read a token; only the one spelling that ``str()`` gives is a cursor."""
    if len(token) != _TOKEN_LENGTH or not token.isascii() or token != token.lower():
        return Gap("invalid")
    try:
        packed = b32hexdecode(token.upper())
    except ValueError:
        return Gap("invalid")
    if len(packed) != _LAYOUT.size:
        return Gap("invalid")
    offset, index, stamp = _LAYOUT.unpack(packed)
    if index > MAX_PUBLICATIONS or (index == 0 and stamp != NO_STAMP):
        return Gap("invalid")
    return Cursor(position_of(Offset(offset), index), stamp)
