"""The posts that a mock shows: each is a function of the seed and of its number alone.

So two runs with the same arguments have the same records to the byte, and a cursor of one is good in the other.
"""

import random
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from streams.contract import Millis, Post, PostId, Publication, User, encode_post, publication

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When a mock's clock begins, whatever the time is."""
AUTHORS: Final = ("ada", "björn", "chloé", "dmitri", "esra", "farid", "greta", "hoa")
"""Who writes: the first has the id 1."""

_WHO: Final = ("The harbour", "A neighbour", "Our tram", "The old clock", "Somebody", "The north wind")
_DOES: Final = ("forgot", "repaired", "painted", "is looking for", "sings about", "has lost")
_WHAT: Final = ("the blue door", "three umbrellas", "last year's map", "a very long ladder", "the key", "its own name")
_ODD: Final = (
    "😀 emoji, and 👩‍👩‍👧 of several code points",
    "<b>no markup</b> & \"no\" 'escape'",
    "مرحبا, from right to left",
    "two\nlines",
    "long: " + "la " * 500,
    "",
)
"""What a page must be able to show, once in so many posts."""
_ODD_EVERY: Final = 7
_PICTURE: Final = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 3 2'><path fill='hsl({hue},60%,60%)' d='M0 0h3v2H0z'/></svg>"
)


def instant(seconds: float) -> datetime:
    """Return the time of a mock's clock, so many seconds after it has begun."""
    return EPOCH + timedelta(seconds=round(seconds, 3))


def millis(seconds: float) -> Millis:
    """Return the same in milliseconds since 1970."""
    return Millis(round(1000 * (EPOCH.timestamp() + seconds)))


def author_of(seed: int, number: int) -> int:
    """Return the id of a post's author."""
    return random.Random(f"{seed} author {number}").randrange(len(AUTHORS)) + 1  # noqa: S311 - any author will do


def post_of(seed: int, number: int, seconds: float) -> Publication:
    """Make the post of this number, written so many seconds after the clock has begun."""
    chance = random.Random(f"{seed} post {number}")  # noqa: S311 - any words will do
    author = author_of(seed, number)
    text = f"{chance.choice(_WHO)} {chance.choice(_DOES)} {chance.choice(_WHAT)}."
    pictures = [_PICTURE.format(hue=chance.randrange(360)) for _ in range(chance.choice((0, 0, 1, 3)))]
    post = Post(
        id=number,
        description=_ODD[number // _ODD_EVERY % len(_ODD)] if number % _ODD_EVERY == 0 else text,
        created_at=_rfc3339(instant(seconds)),
        user=User(author, AUTHORS[author - 1]),
        is_liked=False,
        image_urls=[f"data:image/svg+xml,{quote(each)}" for each in pictures],
        likes_count=chance.randrange(6),
    )
    return publication(PostId(number), encode_post(post), author)


def _rfc3339(time: datetime) -> str:
    text = time.replace(tzinfo=None).isoformat(timespec="milliseconds" if time.microsecond else "seconds")
    return f"{text.rstrip('0') if time.microsecond else text}Z"
