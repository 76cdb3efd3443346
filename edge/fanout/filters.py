"""The filters of all clients, indexed by author.

Laws:

* A filter is in the index as long as it has users, and nothing is kept of it after that.
* Filters enter the index and leave it a few authors at a time, by the clock: until one is in it whole it is not
  *indexed*, and its clients have to be asked about each record.
* A filter counts among the :class:`edge.feed.selection.Selections` until it has left the index.

This module knows no clock: whether it is late is told.
"""

from array import array
from collections import deque
from collections.abc import Callable

from edge.fanout.author_index import AuthorIndex
from edge.feed.selection import Selection


class _Filter:
    __slots__ = ("done", "is_queued", "number", "selection", "users")

    def __init__(self, selection: Selection, number: int) -> None:
        self.selection = selection
        self.number = number
        self.users = 0
        self.done = 0
        """How many of its authors are in the index."""
        self.is_queued = False


class Filters:
    """Filters that are used, each by so many clients."""

    def __init__(self) -> None:
        self._filters: dict[Selection, _Filter] = {}
        self._index = AuthorIndex()
        self._by_number: dict[int, _Filter] = {}
        self._free: list[int] = []
        self._to_do: deque[_Filter] = deque()

    def __len__(self) -> int:
        return len(self._filters)

    @property
    def entries(self) -> int:
        """How many pairs of an author and a filter are in the index."""
        return len(self._index)

    def enter(self, selection: Selection | None) -> None:
        """Count a user of a filter."""
        if selection is None:
            return
        found = self._filters.get(selection)
        if found is None:
            number = self._free.pop() if self._free else len(self._by_number)
            found = self._filters[selection] = self._by_number[number] = _Filter(selection, number)
        found.users += 1
        self._queue(found)

    def leave(self, selection: Selection | None) -> None:
        """Count one less."""
        if selection is not None:
            found = self._filters[selection]
            found.users -= 1
            self._queue(found)

    def is_indexed(self, selection: Selection) -> bool:
        """Tell whether whatever a filter selects is found by the index."""
        found = self._filters.get(selection)
        return found is not None and found.users > 0 and found.done == len(selection)

    def of(self, author: int) -> "array[int]":
        """Return the numbers of filters that have an author, as far as they are in the index."""
        return self._index.of(author)

    def selection(self, number: int) -> Selection | None:
        """Return the filter of a number; after some :meth:`work` it may be none's, or another one's."""
        found = self._by_number.get(number)
        return None if found is None else found.selection

    def work(self, is_late: Callable[[], bool]) -> bool:
        """Bring the index up to date until it is late; tell whether there was anything to do."""
        did = False
        while self._to_do:
            did = True
            one = self._to_do[0]
            authors = one.selection.authors
            if one.users and one.done < len(authors):
                self._index.add(authors[one.done], one.number)
                one.done += 1
            elif not one.users and one.done:
                one.done -= 1
                self._index.remove(authors[one.done], one.number)
            else:
                self._settle(self._to_do.popleft())
            if is_late():
                break
        return did

    def _queue(self, one: _Filter) -> None:
        if not one.is_queued and (one.users == 0 or one.done < len(one.selection)):
            one.is_queued = True
            self._to_do.append(one)

    def _settle(self, one: _Filter) -> None:
        one.is_queued = False
        if not one.users:
            del self._filters[one.selection], self._by_number[one.number]
            self._free.append(one.number)
