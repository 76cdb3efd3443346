"""Metric families as Prometheus reads them."""

from prometheus_client.core import Metric

from edge.histogram import Histogram
from edge.metric_families import counter, counters, gauge, gauges, histogram, single


def samples(family: Metric) -> list[tuple[str, dict[str, str], float]]:
    return [(sample.name, sample.labels, sample.value) for sample in family.samples]


def test_a_family_has_the_edges_name_and_a_sample_for_each_value_of_its_labels() -> None:
    assert samples(gauge("size", "Bytes.", 3)) == [("postcast_edge_size", {}, 3)]
    assert samples(gauges("open", "Open.", "by", {"ws": 2.0})) == [("postcast_edge_open", {"by": "ws"}, 2)]
    assert samples(counter("made", "Made.", 4)) == [("postcast_edge_made_total", {}, 4)]
    ended = counters("ended", "Ended.", ["by", "code"], {("us", "1"): 5, ("client", "2"): 6}.items())
    assert samples(ended) == [
        ("postcast_edge_ended_total", {"by": "client", "code": "2"}, 6),
        ("postcast_edge_ended_total", {"by": "us", "code": "1"}, 5),
    ]
    assert samples(counters("asked", "Asked.", ["what"], single({"ack": 7}))) == [
        ("postcast_edge_asked_total", {"what": "ack"}, 7)
    ]
    durations = Histogram((0.5,))
    durations.note(1.0)
    assert samples(histogram("took_seconds", "Took.", durations)) == [
        ("postcast_edge_took_seconds_bucket", {"le": "0.5"}, 0),
        ("postcast_edge_took_seconds_bucket", {"le": "+Inf"}, 1),
        ("postcast_edge_took_seconds_count", {}, 1),
        ("postcast_edge_took_seconds_sum", {}, 1),
    ]
