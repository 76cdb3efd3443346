"""How many posts of a stretch are selected, counted otherwise than they are found when they are read.

A read finds them by posting lists or a set, and joins messages (:mod:`edge.feed.joins`). Here authors are counted,
straight from the records. Where the two differ one of them is wrong, and nothing of that read may be sent to a client
that is allowed to see these posts alone.
"""

from typing import Final

from edge.feed.position import Position
from edge.feed.retained import Retained
from edge.feed.selection import Selection

_MOST_POSTS: Final = 256
"""To count more would cost more than to send them: a window of a busy feed has a hundred."""
_FEW_AUTHORS: Final = 8
"""To count an author in an array costs as much as to look up so many posts' authors in a selection, by measurement."""


class Mismatch(Exception):
    """What was read is not what may be seen: there is a defect in how it was read, or in who reads it."""


def matches(kept: Retained, begin: Position, end: Position, selection: Selection) -> int | None:
    """Count the selected posts between two positions; None when that would take too long."""
    first, last = kept.posts_before(begin), kept.posts_before(end)
    if last - first > _MOST_POSTS:
        return None
    found = 0
    for authors in kept.authors_between(first, last):
        if len(selection) <= _FEW_AUTHORS:
            found += sum(map(authors.count, selection.authors))
        else:
            found += sum(map(selection.has, authors))
    return found


def check(kept: Retained, begin: Position, end: Position, selection: Selection, posts: int) -> None:
    """Raise :class:`Mismatch` when so many posts are not as many as match."""
    expected = matches(kept, begin, end, selection)
    if expected is not None and expected != posts:
        raise Mismatch(f"{posts} posts were read where {expected} match")
