"""Undisturbed time."""

import math

from hypothesis import given
from hypothesis import strategies as st

from integration.faults.calm import calm_clock
from integration.faults.observations import Span

_SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)).map(lambda two: Span(two[0], sum(two))))


@given(_SPANS, st.integers(-5, 45), st.integers(0, 45))
def test_a_second_counts_where_no_span_covers_it(spans: list[Span], begin: int, lasts: int) -> None:
    calm = calm_clock(spans)
    counted = sum(not any(span.begin <= second < span.end for span in spans) for second in range(begin, begin + lasts))
    assert calm(begin + lasts) - calm(begin) == counted


def test_there_is_always_time_left() -> None:
    assert calm_clock([])(7.5) == 7.5
    assert calm_clock([Span(1, 2)])(math.inf) == math.inf
