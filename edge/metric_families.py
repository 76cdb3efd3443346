"""Makes the metric families of a scrape, each with the edge's name before its own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from edge.histogram import Histogram

L = TypeVar("L", bound=str)


def gauge(name: str, about: str, value: float) -> Metric:
    """Make a gauge."""
    return GaugeMetricFamily(f"postcast_edge_{name}", about, value)


def gauges(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    """Make a gauge with one label; ``values`` are by its value."""
    family = GaugeMetricFamily(f"postcast_edge_{name}", about, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def counter(name: str, about: str, value: float) -> Metric:
    """Make a counter; Prometheus adds ``_total`` to its name."""
    return CounterMetricFamily(f"postcast_edge_{name}", about, value)


def counters(name: str, about: str, labels: Sequence[str], counts: Iterable[tuple[tuple[str, ...], int]]) -> Metric:
    """Make a counter with labels; ``counts`` are by their values."""
    family = CounterMetricFamily(f"postcast_edge_{name}", about, labels=labels)
    for values, count in sorted(counts):
        family.add_metric(values, count)
    return family


def single(counts: Mapping[L, int]) -> Iterable[tuple[tuple[L], int]]:
    """Make ``counts`` of :func:`counters` of those by one label."""
    return (((label,), count) for label, count in counts.items())


def histogram(name: str, about: str, durations: Histogram) -> Metric:
    """Make a histogram of durations in seconds."""
    buckets, total = durations.buckets, durations.sum
    return HistogramMetricFamily(f"postcast_edge_{name}", about, buckets=buckets, sum_value=total)
