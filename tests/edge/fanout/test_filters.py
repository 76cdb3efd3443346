"""Filters in their index, a few authors at a time."""

import gc

from hypothesis import given
from hypothesis import strategies as st

from edge.fanout.filters import Filters
from edge.feed.selection import Selection, Selections


def late() -> bool:
    """Be late after each step."""
    return True


def found(filters: Filters, author: int) -> set[Selection]:
    """Name the filters that are found for an author, of those that are whole in the index."""
    named = {filters.selection(number) for number in filters.of(author)}
    return {each for each in named if each is not None and filters.is_indexed(each)}


@given(steps=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), max_size=40))
def test_whoever_is_indexed_is_found(steps: list[tuple[int, int]]) -> None:
    """However clients come and go while the index is kept up; in the end it is complete, or empty."""
    choices = [Selection([1, 2, 3]), Selection([3, 4]), Selection([])]
    users, filters = [0, 0, 0], Filters()
    for which, action in steps:
        if action < 4:
            filters.enter(choices[which])
            users[which] += 1
        elif action < 7 and users[which]:
            filters.leave(choices[which])
            users[which] -= 1
        else:
            for _ in range(action - 6):
                filters.work(late)
        for author in range(5):
            whole = {each for each in choices if filters.is_indexed(each) and author in each.authors}
            assert found(filters, author) == whole
    while filters.work(late):
        pass
    used = [each for each, count in zip(choices, users, strict=True) if count]
    assert [filters.is_indexed(each) for each in choices] == [count > 0 for count in users]
    assert (len(filters), filters.entries) == (len(used), sum(map(len, used)))
    for each, count in zip(choices, users, strict=True):
        for _ in range(count):
            filters.leave(each)
    filters.work(lambda: False)
    assert (len(filters), filters.entries, filters.work(late)) == (0, 0, False)


def test_everything_is_no_filter() -> None:
    filters = Filters()
    filters.enter(None)
    filters.leave(None)
    assert (len(filters), filters.work(late)) == (0, False)


def test_a_filter_counts_until_it_has_left_the_index() -> None:
    """So what nobody uses any more is bounded, too."""
    known, filters = Selections(limit=3), Filters()
    one = known.the(Selection([1, 2]))
    filters.enter(one)
    filters.work(lambda: False)
    filters.leave(one)
    del one
    gc.collect()
    assert (known.authors, known.the(Selection([3, 4]))) == (2, None)
    filters.work(lambda: False)
    assert known.authors == 0


def test_a_step_is_an_author() -> None:
    """Of thousands of filters that come at once, each of thousands of authors, a few are indexed in a turn."""
    filters = Filters()
    one = Selection(range(10))
    filters.enter(one)
    for done in range(1, 11):
        assert filters.work(late)
        assert filters.entries == done
    assert filters.is_indexed(one)
