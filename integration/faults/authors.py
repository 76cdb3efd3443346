"""Who wrote which post: told by its id, so that whoever knows the one knows the other.

This module knows neither processes nor clocks.
"""

from typing import Final

AUTHORS: Final = 8
"""Users 1 to 8, as :mod:`integration.posts_service` makes them."""


def author_of(post: int) -> int:
    """Return the id of the user who wrote a post of the checker's."""
    return 1 + post % AUTHORS


def seen_of(allowed: frozenset[int] | None, asked: frozenset[int] | None) -> frozenset[int] | None:
    """Return whose posts a client sees: those that are allowed to it and that it asks for. None is everybody's."""
    if allowed is None:
        return asked
    return allowed if asked is None else allowed & asked


def author_sql(post: str) -> str:
    """Return the same as an expression of SQL, of the expression that is the post's id."""
    return f"1 + {post} % {AUTHORS}"
