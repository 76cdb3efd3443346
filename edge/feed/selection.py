"""Which authors' posts a client sees.

A selection is a value; *None* stands for everything, and an empty selection for nothing. Only the wire form of a filter
spells None as an empty list, or as null. Laws:

* Equal selections are one object as long as somebody has it (:class:`Selections`): it costs memory once, its clients
  are served together, and it can be compared and looked up by identity.
* It is 8 bytes for each author. All selections of an edge have so many authors at most,.

This module knows no clients, and no posts but by their authors.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple
from weakref import ref

from edge.feed.position import Position
from streams.contract import MAX_ID

NO_AUTHOR: Final = -1
"""Stands for the author of a post of which none is known: no selection has it."""
MAX_AUTHORS_TOTAL: Final = 2_000_000
"""How many authors all filters of an edge have, unless it is told otherwise."""

_TYPE: Final = "q"
_MAX_DIGITS: Final = len(str(MAX_ID))
_DIGEST_BYTES: Final = 16


class Selection:
    """The posts of these authors: their ids, ascending, each once."""

    __slots__ = ("__weakref__", "authors")

    def __init__(self, authors: Iterable[int]) -> None:
        self.authors: array[int] = array(_TYPE, sorted(set(authors)))

    def __len__(self) -> int:
        return len(self.authors)

    def has(self, author: int) -> bool:
        """Tell whether posts of an author are selected."""
        place = bisect_left(self.authors, author)
        return place < len(self.authors) and self.authors[place] == author


class Authors(NamedTuple):
    """The authors of consecutive posts, and the place after the record that they are in."""

    authors: "array[int]"
    end: Position


def author_of(author: int | None) -> int:
    """Return by which id a post can be selected: its author's, or :data:`NO_AUTHOR`."""
    return author if author is not None and 0 <= author <= MAX_ID else NO_AUTHOR


def seen(claim: Selection | None, asked: Selection | None) -> Selection | None:
    """Return what a client sees that may see ``claim`` and asks for ``asked``: what is in both."""
    if claim is None:
        return asked
    if asked is None:
        return claim
    return Selection(set(claim.authors).intersection(asked.authors))


def selection_of(authors: Sequence[int]) -> Selection | None:
    """Return what a filter chooses, in its wire form: an empty list is everything."""
    return Selection(authors) if authors else None


class BadAuthors(ValueError):
    """It is no list of authors' ids."""


def parse_authors(values: Iterable[str]) -> list[int]:
    """Read the values of ``?author=``, each an id or several with commas between them; raises :class:`BadAuthors`."""
    authors = [each for value in values if value for each in value.split(",")]
    for each in authors:
        if not (each.isascii() and each.isdigit() and len(each) <= _MAX_DIGITS and int(each) <= MAX_ID):
            raise BadAuthors
    return list(map(int, authors))


class _Known(ref[Selection]):
    """A selection that somebody has, and what has to be known once nobody has it."""

    __slots__ = ("digest", "size")

    digest: bytes
    size: int


class Selections:
    """All selections of an edge, with ``limit`` authors in all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[bytes, _Known] = {}
        self.authors = 0
        """How many authors they have."""

    def __len__(self) -> int:
        return len(self._known)

    def the(self, selection: Selection) -> Selection | None:
        """Return the one object for a selection; None when it would be more authors than there may be."""
        digest = blake2b(selection.authors, digest_size=_DIGEST_BYTES).digest()
        known = self._known.get(digest)
        if known is not None and (found := known()) is not None:
            return found
        if self.authors + len(selection) > self._limit:
            return None
        made = self._known[digest] = _Known(selection, self._forget)
        made.digest, made.size = digest, len(selection)
        self.authors += made.size
        return selection

    def _forget(self, known: ref[Selection]) -> None:
        assert isinstance(known, _Known)  # noqa: S101 - it was made here; told to the type checker
        self.authors -= known.size
        if self._known.get(known.digest) is known:
            del self._known[known.digest]
