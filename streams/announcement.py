"""What a delivery of the queue announces: the id of a post that was created.

The body is the id in ASCII digits and nothing around them, or a JSON object whose ``id`` is an integer. Everything
else is poison: it becomes a dead letter with the reason, the first 64 KiB, the length and the digest.

Laws: a body is judged when it arrives, and what is kept of it is an id or at most 64 KiB.
"""

import re
from hashlib import sha256
from typing import Final

import msgspec

from streams.contract import MAX_DEAD_BODY_BYTES, MAX_ID, DeadLetter, PostId, dead_letter

NOT_AN_ID: Final = "not_an_id"
"""The reason of these dead letters."""

# `int()` is no check: it takes signs, spaces, underscores and every script's digits.
_DIGITS: Final = re.compile(rb"[0-9]{1,19}")

# An object that carries an id is short; a longer body is not worth a parser's time. A body that is cut is longer.
_MAX_JSON_BYTES: Final = MAX_DEAD_BODY_BYTES
_NEITHER: Final = "the body is neither 1 to 19 ASCII digits nor a JSON object"
_TOO_LONG: Final = f"the body is a JSON object of more than {_MAX_JSON_BYTES} bytes"


class NotAnId(ValueError):
    """A delivery that announces no post."""


def announced_post(body: bytes) -> PostId:
    """Return the post that a delivery's body announces; raises :class:`NotAnId` with the reason."""
    number = int(body) if _DIGITS.fullmatch(body) else _id_of_object(body)
    if not 1 <= number <= MAX_ID:
        raise NotAnId(f"the id is not between 1 and {MAX_ID}")
    return PostId(number)


def judged(body: bytes) -> PostId | DeadLetter:
    """Return the post that a body announces, or the dead letter that the body becomes."""
    try:
        return announced_post(body)
    except NotAnId as error:
        return dead_letter(NOT_AN_ID, str(error), body)


class LongBody:
    """A body that arrives in pieces: all of it is hashed, and its first 64 KiB are kept."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._length = 0
        self._hash = sha256()

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        self._head += piece[: MAX_DEAD_BODY_BYTES - len(self._head)]
        self._length += len(piece)
        self._hash.update(piece)

    def judged(self) -> PostId | DeadLetter:
        """Return what the whole body is, as :func:`judged` does."""
        head = bytes(self._head)
        if self._length == len(head):
            return judged(head)
        detail = _TOO_LONG if head.startswith(b"{") else _NEITHER
        return DeadLetter(NOT_AN_ID, detail, head, self._length, self._hash.hexdigest())


def _id_of_object(body: bytes) -> int:
    if not body.startswith(b"{"):
        raise NotAnId(_NEITHER)
    if len(body) > _MAX_JSON_BYTES:
        raise NotAnId(_TOO_LONG)
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAnId("the body is not valid JSON") from error
    # By exact type: True is an int to Python, and 1.0 would lose digits on the way to 2^63.
    number = value.get("id")
    if type(number) is not int:
        raise NotAnId("the JSON object has no integer id")
    return number
