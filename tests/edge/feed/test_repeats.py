"""What counts as a repeat."""

import tracemalloc
from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.feed.repeats import DAY, Repeats, growth
from streams.contract import CREATED, Millis, Offset, Publication
from tests.edge.kit.records import publication

feeds = st.lists(
    st.lists(st.builds(publication, st.integers(1, 6), st.sampled_from([CREATED, "deleted"])), max_size=4), max_size=25
)


def oracle(feed: list[list[Publication]], reach: int, at: int) -> list[int]:
    """Decide by the law's own words, looking everything up in the raw records."""
    earlier = {(one.action, one.id) for part in feed[max(0, at - reach) : at] for one in part}
    fresh = []
    for index, one in enumerate(feed[at]):
        if (one.action, one.id) not in earlier:
            fresh.append(index)
        earlier.add((one.action, one.id))
    return fresh


@given(feeds, st.integers(0, 5))
def test_a_repeat_occurs_in_one_of_the_records_before(feed: list[list[Publication]], reach: int) -> None:
    """Law 2: in one of the ``reach`` records before, shown or not, or earlier in the same record."""
    repeats = Repeats(reach)
    decided = [repeats.first_seen(Offset(at), part) for at, part in enumerate(feed)]
    assert decided == [oracle(feed, reach, at) for at in range(len(feed))]


@given(feeds, st.integers(0, 5), st.integers(0, 25))
def test_who_begins_reach_records_before_decides_alike(feed: list[list[Publication]], reach: int, first: int) -> None:
    """Where a reader began makes no difference to what it offers from ``reach`` records on."""
    repeats = Repeats(reach)
    decided = [repeats.first_seen(Offset(at), feed[at]) for at in range(first, len(feed))]
    assert decided[reach:] == [oracle(feed, reach, at) for at in range(first + reach, len(feed))]


def test_a_repeat_of_a_record_that_is_too_old_is_none() -> None:
    """``DEDUP_SECONDS``, to the millisecond, by the newest record that has it; within a record there is no age."""
    repeats = Repeats(10, Millis(100))

    def seen(offset: int, timestamp: int, *posts: int) -> list[int]:
        return repeats.first_seen(Offset(offset), [publication(post) for post in posts], Millis(timestamp))

    assert seen(0, 1000, 1, 2) == [0, 1]
    assert seen(1, 1100, 1) == []
    assert seen(2, 1101, 2, 2) == [0]
    assert seen(3, 1200, 1, 2) == []
    # A clock that was set back makes nothing older.
    assert seen(4, 300, 1, 3) == [1]


@given(
    feeds,
    st.lists(st.integers(0, 9), min_size=25, max_size=25),
    st.integers(0, 5),
    st.integers(0, 9),
    st.integers(0, 25),
)
def test_who_has_read_all_that_is_young_enough_decides_alike(
    feed: list[list[Publication]], pauses: list[int], reach: int, age: int, first: int
) -> None:
    """Fewer records than ``reach`` are enough where those that are missing are too old."""
    times = [Millis(sum(pauses[: at + 1])) for at in range(25)]
    full, late = Repeats(reach, Millis(age)), Repeats(reach, Millis(age))
    for at, part in enumerate(feed):
        decided = full.first_seen(Offset(at), part, times[at])
        if at >= first:
            is_known = at >= first + reach or late.has_read_enough(times[at])
            alike = late.first_seen(Offset(at), part, times[at])
            assert alike == decided or not is_known


def test_what_was_not_begun_has_read_nothing() -> None:
    """Whatever the time is."""
    repeats = Repeats(10, DAY)
    assert not repeats.has_read_enough(Millis(10 * DAY))
    repeats.first_seen(Offset(0), [], Millis(0))
    assert [repeats.has_read_enough(Millis(DAY + more)) for more in (0, 1)] == [False, True]


def test_memory_is_bounded_by_the_reach() -> None:
    """Keys older than the reach are forgotten; one that came again is kept from then on."""
    repeats = Repeats(2)
    for offset in range(1000):
        repeats.first_seen(Offset(offset), [publication(0), publication(offset + 1)])
    assert repeats._last == {0: 999, 998: 997, 999: 998, 1000: 999}  # noqa: SLF001 - memory has no other face
    assert len(repeats._keys) == 3  # noqa: SLF001 - likewise


@pytest.mark.parametrize("posts", [0, 1, 50])
def test_by_how_much_it_grows_with_a_record_is_known(posts: int) -> None:
    """At most: less where some of it was there."""
    repeats = Repeats(10)
    for first in (0, 25):
        before = repeats.size
        repeats.first_seen(Offset(first), [publication(first + post) for post in range(posts)])
        assert repeats.size - before <= growth(posts)


@pytest.mark.parametrize(("records", "posts"), [(1000, 1), (3000, 20), (1000, 50), (50, 1000)])
def test_what_it_costs_is_known(records: int, posts: int) -> None:
    """Not less than what was allocated, and not more than 2.5 times as much."""
    repeats, raw, ids = Repeats(1000), msgspec.Raw(b"{}"), count(10**9)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for offset in range(10**6, 10**6 + records):
        repeats.first_seen(Offset(offset), [Publication(CREATED, next(ids), raw) for _ in range(posts)])
    allocated = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert allocated <= repeats.size <= 2.5 * allocated
