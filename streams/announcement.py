"""What a delivery of the queue announces: the id of a post that was created.

The body is the id in ASCII digits and nothing around them, or a JSON object whose ``id`` is an
integer. Everything else is poison, and the reason why is for whoever reads ``posts.dead``.
"""

import re
from typing import Final

import msgspec

from streams.contract import MAX_ID, PostId

# `int()` is no check: it takes signs, spaces, underscores and every script's digits.
_DIGITS: Final = re.compile(rb"[0-9]{1,19}")

# An object that carries an id is short; a longer body is not worth a parser's time.
_MAX_JSON_BYTES: Final = 64 * 1024


class NotAnId(ValueError):
    """A delivery that announces no post."""


def announced_post(body: bytes) -> PostId:
    """Return the post that a delivery's body announces; raises :class:`NotAnId` with the reason."""
    number = int(body) if _DIGITS.fullmatch(body) else _id_of_object(body)
    if not 1 <= number <= MAX_ID:
        raise NotAnId(f"the id is not between 1 and {MAX_ID}")
    return PostId(number)


def _id_of_object(body: bytes) -> int:
    if not body.startswith(b"{"):
        raise NotAnId("the body is neither 1 to 19 ASCII digits nor a JSON object")
    if len(body) > _MAX_JSON_BYTES:
        raise NotAnId(f"the body is a JSON object of more than {_MAX_JSON_BYTES} bytes")
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAnId("the body is not valid JSON") from error
    # By exact type: True is an int to Python, and 1.0 would lose digits on the way to 2^63.
    number = value.get("id")
    if type(number) is not int:
        raise NotAnId("the JSON object has no integer id")
    return number
