"""Where reading begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.feed.start import Bounds, Start, continues, start
from streams.contract import Offset

offsets = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted)


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (0, 0, Start(Offset(0), Offset(0), Offset(0))),
        (0, 5, Start(Offset(0), Offset(0), Offset(0))),
        (0, 100, Start(Offset(80), Offset(90), Offset(90))),
        (60, 100, Start(Offset(80), Offset(90), Offset(90))),
        (85, 100, Start(Offset(85), Offset(95), Offset(90))),
        (95, 100, Start(Offset(95), Offset(100), Offset(95))),
        (100, 100, Start(Offset(100), Offset(100), Offset(100))),
    ],
)
def test_begins_reach_records_before_what_is_offered(begin: int, end: int, expected: Start) -> None:
    """Law 2, with 10 records of history and a reach of 10: at a feed's first offset all is known.

    Where retention has cut off what is needed, records are offered that are young enough, from the first wanted one on.
    """
    assert start(Bounds(Offset(begin), Offset(end)), history=10, reach=10) == expected


@given(offsets, st.integers(0, 60), st.integers(0, 60))
def test_what_is_offered_was_decided_with_all_that_it_takes(bounds: list[int], history: int, reach: int) -> None:
    """Nothing is offered whose ``reach`` predecessors are not read, but what is live."""
    begin, end = bounds
    plan = start(Bounds(Offset(begin), Offset(end)), history=history, reach=reach)
    assert begin <= plan.read_from <= plan.earliest <= plan.offer_from <= end
    assert plan.offer_from >= end - history
    assert plan.offer_from == end or plan.read_from in {0, begin, plan.offer_from - reach}
    assert plan.offer_from == end or plan.read_from == 0 or plan.offer_from >= begin + reach


@pytest.mark.parametrize(("wanted", "on"), [(4, False), (5, True), (7, True), (9, True), (10, False)])
def test_goes_on_only_within_the_feed(wanted: int, on: bool) -> None:
    """Before the oldest record, and after the next one, there is a gap."""
    assert continues(next_offset=Offset(wanted), bounds=Bounds(Offset(5), Offset(9))) is on
