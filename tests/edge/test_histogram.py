"""Durations by how long they were."""

from edge.histogram import Histogram


def test_a_duration_counts_in_every_bucket_that_it_is_not_longer_than() -> None:
    """As Prometheus adds them up; what is as long as a bound is within it."""
    histogram = Histogram((0.5, 1.0))
    for seconds in (0.25, 0.5, 0.75, 1.0, 4.0):
        histogram.note(seconds)
    assert histogram.buckets == [("0.5", 2.0), ("1.0", 4.0), ("+Inf", 5.0)]
    assert histogram.sum == 6.5
