"""A resume position as a token that any edge understands.

A cursor says "everything up to and including post number ``place`` of the feed's record
``offset`` has been seen" (posts are numbered from one, so that ``place`` 0 is none of them). It
names raw records, which are the same for everybody, and not what one edge happened to show.

``stamp`` is a hash over that raw record: offsets alone cannot tell "you are current" from "the
topic was made anew". Where no record could be hashed, since none has been read yet, the stamp is
zero and ``place`` is 0: "everything before record ``offset``, whatever it will be".

A token is not signed: it grants nothing that connecting without one does not.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class, whatever the module calls it
from typing import Final, Literal, NewType

from streams.contract import Offset

Position = NewType("Position", int)
"""A place in the edge's log: how many posts were shown before it. Means nothing to another process."""

Reason = Literal["invalid", "expired", "recreated", "unknown", "interrupted"]
"""Why what follows a cursor cannot be replayed whole: it is no cursor; the log has forgotten what
follows it; it belongs to another record of that offset; there is no such record yet; the edge
itself missed a part of the feed."""

# Eight bytes: two different records agree by chance once in 2^64; forging one gains nothing.
_STAMP_BYTES: Final = 8
NO_STAMP: Final = bytes(_STAMP_BYTES)

_LAYOUT: Final = Struct(f"!QI{_STAMP_BYTES}s")
# 20 bytes are 27 characters of base64 and one of padding, which a URL would have to escape.
_PADDING: Final = "="


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in the feed; ``str()`` is its token."""

    offset: Offset
    place: int
    stamp: bytes = NO_STAMP

    def __str__(self) -> str:
        packed = _LAYOUT.pack(self.offset, self.place, self.stamp)
        return urlsafe_b64encode(packed).decode().rstrip(_PADDING)


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
    """Return the cursor of everything before a record that nobody has read yet."""
    return Cursor(offset, place=0)


def stamp_of(value: bytes) -> bytes:
    """Hash a raw record."""
    return blake2b(value, digest_size=_STAMP_BYTES).digest()


def parse(token: str) -> Cursor | Gap:
    """Read a token; only the one spelling that ``str()`` gives is a cursor."""
    try:
        offset, place, stamp = _LAYOUT.unpack(urlsafe_b64decode(token + _PADDING))
    except (ValueError, StructError):
        return Gap("invalid")
    cursor = Cursor(Offset(offset), place, stamp)
    return cursor if str(cursor) == token else Gap("invalid")
