"""An index from authors to the filters that have them, in compact arrays.

Pairs of an author and a filter's number are kept in ascending order, in chunks: to find, add or remove one takes two
searches by halves, and moves a chunk's bytes at most. A pair is 12 bytes, and 14 with what chunks cost; a dictionary
with a list for each author would be ten times that where each author is in one filter.
"""

from array import array
from bisect import bisect_left, bisect_right
from typing import Final

# Small enough that moving one costs nothing beside the searches, large enough that 300 bytes of objects do not count.
_MOST: Final = 512


class _Chunk:
    """Consecutive pairs: authors, and in parallel the numbers of filters."""

    __slots__ = ("authors", "numbers")

    def __init__(self, authors: "array[int]", numbers: "array[int]") -> None:
        self.authors = authors
        self.numbers = numbers

    def place(self, author: int, number: int) -> int:
        """Return where a pair is, or would be."""
        begin = bisect_left(self.authors, author)
        return bisect_left(self.numbers, number, begin, bisect_right(self.authors, author, begin))


class AuthorIndex:
    """Pairs of an author and the number of a filter that has it, from 0."""

    def __init__(self) -> None:
        self._firsts: list[tuple[int, int]] = []
        """The first pair of each chunk, or a smaller one that was removed since."""
        self._chunks: list[_Chunk] = []
        self._pairs = 0

    def __len__(self) -> int:
        return self._pairs

    def add(self, author: int, number: int) -> None:
        """Add a pair that is not there."""
        self._pairs += 1
        if not self._chunks:
            self._chunks.append(_Chunk(array("q"), array("I")))
            self._firsts.append((author, number))
        at = self._chunk_of(author, number)
        chunk = self._chunks[at]
        place = chunk.place(author, number)
        chunk.authors.insert(place, author)
        chunk.numbers.insert(place, number)
        if place == 0:
            self._firsts[at] = (author, number)
        if len(chunk.authors) > _MOST:
            half = _MOST // 2
            other = _Chunk(chunk.authors[half:], chunk.numbers[half:])
            self._chunks[at : at + 1] = [_Chunk(chunk.authors[:half], chunk.numbers[:half]), other]
            self._firsts.insert(at + 1, (other.authors[0], other.numbers[0]))

    def remove(self, author: int, number: int) -> None:
        """Remove a pair that is there."""
        self._pairs -= 1
        at = self._chunk_of(author, number)
        chunk = self._chunks[at]
        place = chunk.place(author, number)
        del chunk.authors[place], chunk.numbers[place]
        if not chunk.authors:
            del self._chunks[at], self._firsts[at]

    def of(self, author: int) -> "array[int]":
        """Return the numbers of the filters that have an author."""
        found = array("I")
        # The chunk before the first that begins with the author may end with it.
        for at in range(max(0, bisect_left(self._firsts, (author, 0)) - 1), len(self._chunks)):
            chunk = self._chunks[at]
            begin = bisect_left(chunk.authors, author)
            end = bisect_right(chunk.authors, author, begin)
            found += chunk.numbers[begin:end]
            if end < len(chunk.authors):
                break
        return found

    def _chunk_of(self, author: int, number: int) -> int:
        return max(0, bisect_right(self._firsts, (author, number)) - 1)
