"""Clients that rest: they have been sent everything, or everything that they have selected.

When the head moves, clients that see everything are to be sent something at once. Clients with an indexed filter are
not asked: the posts that have come are looked up in the index (:mod:`edge.fanout.filters`), and only cohorts whose
filter has a post's author are to be sent anything. The others are not touched, and yet they move on: what they have
been sent everything before is the place up to which posts were *matched*, or where they came to rest if that is later.
Laws:

* A cohort rests no more when the index names its filter for a post behind its position.
* Matching goes on by the clock, from post to post and from filter to filter, so that neither a record of many posts nor
  an author whom many follow makes a turn long.
* Nobody moves on past a record that was not matched whole.

This module knows no clock: whether it is late is told.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final, Generic, Protocol, TypeVar

from edge.fanout.filters import Filters
from edge.fanout.session import Passed
from edge.feed.position import Position
from edge.feed.reads import Reading
from edge.feed.selection import Authors, Selection
from edge.wire.encoding import Encoding


class Posts(Protocol):
    """What matching needs of the feed's log."""

    @property
    def tail(self) -> Position:
        """The oldest position that can be read."""
        ...

    def authors_after(self, position: Position) -> Authors | None:
        """Return the authors of a record's posts behind a position; None when no post follows."""
        ...


class Resting(Protocol):
    """A cohort that may rest."""

    reading: Reading

    @property
    def position(self) -> Position:
        """What its clients have been sent everything before."""
        ...

    def rest(self, passed: Passed) -> None:
        """Move on with what was matched."""
        ...

    def wake(self) -> None:
        """Stay here from now on."""
        ...

    def __len__(self) -> int: ...


_END: Final = Position(1 << 128)
"""Behind every place."""

G = TypeVar("G", bound=Resting)


class Rest(Generic[G]):
    """Cohorts that rest, ``head`` being the place after everything that was read."""

    def __init__(self, head: Position, filters: Filters) -> None:
        self.head = head
        self._filters = filters
        # Those that are asked about every record.
        self._asked: defaultdict[Reading, list[G]] = defaultdict(list)
        # Those that are found by the index.
        self._found: dict[Selection, defaultdict[Encoding, list[G]]] = {}
        self._passed = Passed(head)
        self._matching: Iterator[list[G]] | None = None
        self.matched = self.woken = 0
        """How many records were matched, and how many cohorts were to be sent something of them."""

    @property
    def is_matching(self) -> bool:
        """Whether there are posts that were not matched."""
        return self._passed.position != self.head

    def begin(self, head: Position) -> None:
        """Forget everybody; the head is here from now on."""
        self._asked.clear()
        self._found.clear()
        # Those that are forgotten stay where they were.
        self._passed, self._matching = Passed(head), None
        self.head = head

    def last(self, reading: Reading, position: Position) -> G | None:
        """Return the newest cohort that rests there, for others to join."""
        cohorts = self._of(reading)
        return cohorts[-1] if cohorts and cohorts[-1].position == position else None

    def add(self, cohort: G) -> None:
        """Have a cohort rest that is at the head."""
        reading = cohort.reading
        if reading.selection is None or not self._filters.is_indexed(reading.selection):
            self._asked[reading].append(cohort)
        else:
            self._found.setdefault(reading.selection, defaultdict(list))[reading.encoding].append(cohort)
            cohort.rest(self._passed)

    def forget(self, cohort: G) -> None:
        """Keep nothing of a cohort of nobody: its selection may be nobody else's."""
        reading = cohort.reading
        if cohort in self._asked.get(reading, ()):
            self._asked[reading].remove(cohort)
            if not self._asked[reading]:
                del self._asked[reading]
            return
        selection = reading.selection
        found = None if selection is None else self._found.get(selection)
        if selection is not None and found is not None and cohort in found.get(reading.encoding, ()):
            found[reading.encoding].remove(cohort)
            self._keep(selection, found)

    def advance(self, head: Position) -> Iterable[G]:
        """Move the head; return the cohorts that are asked about every record: they rest no more."""
        asked = list(chain.from_iterable(self._asked.values()))
        self._asked.clear()
        if head < self.head:
            # Before the first record that is shown, a place may turn out to be the one behind a record.
            asked += chain.from_iterable(self._wake(selection, _END) for selection in list(self._found))
        self.head = head
        if not self._found:
            self._passed.position = head
        return asked

    def match(self, posts: Posts, is_late: Callable[[], bool]) -> list[G]:
        """Match posts until it is late; return cohorts that have got something: they rest no more."""
        if self._matching is None:
            self._matching = self._match(posts)
        woken: list[G] = []
        for some in self._matching:
            woken += some
            if is_late():
                return woken
        self._matching = None
        return woken

    def _match(self, posts: Posts) -> Iterator[list[G]]:
        """Match up to the head, a filter or an author at a time."""
        while self.is_matching:
            if self._passed.position < posts.tail:
                # The log has moved past all of them.
                yield from (self._wake(selection, self.head) for selection in list(self._found))
                self._passed.position = self.head
                return
            record = posts.authors_after(self._passed.position)
            if record is None:
                self._passed.position = self.head
                return
            self.matched += 1
            filters: set[int] = set()
            for author in dict.fromkeys(record.authors):
                yield []
                for number in self._filters.of(author):
                    if number not in filters:
                        filters.add(number)
                        # The index may have been worked on since; who rests here keeps his filter in it.
                        selection = self._filters.selection(number)
                        yield [] if selection is None else self._wake(selection, record.end)
            self._passed.position = record.end

    def _wake(self, selection: Selection, end: Position) -> list[G]:
        """Take out the cohorts of a filter that have not passed a place."""
        woken: list[G] = []
        found = self._found.get(selection)
        if found is None:
            return woken
        for encoding, cohorts in found.items():
            woken += (each for each in cohorts if each.position < end)
            found[encoding] = [each for each in cohorts if each.position >= end]
        self._keep(selection, found)
        for each in woken:
            each.wake()
        self.woken += len(woken)
        return woken

    def _keep(self, selection: Selection, found: dict[Encoding, list[G]]) -> None:
        """Keep nothing of a filter of which no cohort rests."""
        if not any(found.values()):
            del self._found[selection]

    def _of(self, reading: Reading) -> list[G]:
        selection = reading.selection
        if selection is None or not self._filters.is_indexed(selection):
            return self._asked.get(reading, [])
        found = self._found.get(selection)
        return [] if found is None else found.get(reading.encoding, [])
