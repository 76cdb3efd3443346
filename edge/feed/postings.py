"""Posting lists: which posts of the log are by which author, for readers that select and are not at the head.

Posts are numbered as the log shows them, and divided into *blocks* of consecutive numbers. Laws:

* A block that is complete gets its posting lists when somebody reads in it for the first time, within some 2 ms. After
  that a reader costs a search by halves for each of its authors, or a look at each post of the block if its authors are
  more; whatever it finds.
* The newest posts, which are no whole block yet, are looked at one by one.
* What is kept never costs more than the room that there is: without room posts are looked at one by one. Lists are
  forgotten with the last of their posts.

This module knows no encodings, and no time.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from edge.feed.retained import Retained
from edge.feed.selection import Selection

BLOCK: Final = 4096
"""How many posts have posting lists together: to sort so many authors takes a millisecond or two."""

# A search by halves costs as much as a look at so many posts, by measurement (decision 0024).
_SEARCH_COST: Final = 8
# A block's objects, by sys.getsizeof on CPython 3.11.
_BLOCK_BYTES: Final = 400
# To make a set of authors costs as much for each as a fifteenth of a search by halves.
_SET_COST: Final = 1 / 15


class _Block(NamedTuple):
    """The posts from number ``first`` on, ordered by author: authors, and in parallel the places of their posts."""

    first: int
    authors: "array[int]"
    places: "array[int]"

    @property
    def size(self) -> int:
        return _BLOCK_BYTES + len(self.authors) * (self.authors.itemsize + self.places.itemsize)


class Postings:
    """Posting lists of the kept posts, in at most ``room`` bytes, for ``block`` posts together."""

    def __init__(self, room: int, block: int = BLOCK) -> None:
        self._room = room
        self._block = block
        self._block_bytes = _BLOCK_BYTES + block * (8 + 2)
        self._blocks: dict[int, _Block] = {}
        self.size = 0
        """What they cost in memory, in bytes."""

    def clear(self, room: int) -> None:
        """Forget all of them; have so many bytes from now on."""
        self._blocks.clear()
        self.size, self._room = 0, room

    def fit(self, room: int, first: int) -> None:
        """Have so many bytes from now on; forget the lists of which no post is kept from number ``first`` on."""
        self._room = room
        gone = [number for number in self._blocks if (number + 1) * self._block <= first]
        for number in gone:
            self.size -= self._blocks.pop(number).size
        if self.size > room:
            self.clear(room)

    def end_of_block(self, number: int) -> int:
        """Return the number of the first post behind the block of a post."""
        return (number // self._block + 1) * self._block

    def begin_of_block(self, number: int) -> int:
        """Return the number of the first post of a post's block."""
        return number // self._block * self._block

    def find(self, kept: Retained, selection: Selection, begin: int, end: int) -> Sequence[int]:
        """Return the numbers of the selected posts from ``begin`` to ``end`` (excluded), which are in one block."""
        number = begin // self._block
        block = self._blocks.get(number)
        if block is None and kept.shown >= (number + 1) * self._block and self.size + self._block_bytes <= self._room:
            block = self._made(kept, number)
        if block is None:
            return _looked_at(kept, selection, begin, end)
        return [post for post in _searched(block, selection) if begin <= post < end]

    def _made(self, kept: Retained, number: int) -> _Block:
        """Make the lists of a block of which all posts were shown, as far as they are kept."""
        first = max(number * self._block, kept.shown - kept.posts)
        authors = array("q")
        for some in kept.authors_between(first, (number + 1) * self._block):
            authors += some
        order = sorted(range(len(authors)), key=authors.__getitem__)
        block = _Block(first, array("q", map(authors.__getitem__, order)), array("H", order))
        self._blocks[number] = block
        self.size += block.size
        return block


def _searched(block: _Block, selection: Selection) -> list[int]:
    authors, places = block.authors, block.places
    found: list[int] = []
    if len(selection) * _SEARCH_COST < len(authors):
        for author in selection.authors:
            begin = bisect_left(authors, author)
            if begin < len(authors) and authors[begin] == author:
                found += places[begin : bisect_right(authors, author, begin)]
    else:
        wanted = set(selection.authors)
        found += (place for author, place in zip(authors, places, strict=True) if author in wanted)
    return sorted(block.first + place for place in found)


def _looked_at(kept: Retained, selection: Selection, begin: int, end: int) -> list[int]:
    found: list[int] = []
    if end - begin < len(selection) * _SET_COST:
        for authors in kept.authors_between(begin, end):
            found += (number for number, author in enumerate(authors, begin) if selection.has(author))
            begin += len(authors)
        return found
    wanted = set(selection.authors)
    for authors in kept.authors_between(begin, end):
        if not wanted.isdisjoint(authors):
            found += (number for number, author in enumerate(authors, begin) if author in wanted)
        begin += len(authors)
    return found
