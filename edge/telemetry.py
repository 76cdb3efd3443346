"""Logs and metrics of the edge.

Logs are events with fields, for people on a terminal and as JSON elsewhere; what libraries log
goes the same way. Metrics are read from the parts when somebody asks: counting costs an integer.
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from edge import __version__
from edge.access.entrance import Gate
from edge.fanout.hub import Hub
from edge.feed.log import Log
from runtime.logs import Format, Level, Stream, configure_directly

# Libraries that say at a lower level what we say ourselves, and once:
_LEVELS: Final[dict[str, Level]] = {
    # each attempt to reach a broker that is away
    "aiokafka": "critical",
    # each client that offers a subprotocol which is not ours
    "aiohttp.websocket": "error",
}

# 20 ms is the most that it should ever be.
_TURN_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def configure_logging(level: Level, form: Format, output: Stream | None = None) -> None:
    """Send everything that is logged to ``output``, or to standard output."""
    configure_directly(level, form, levels=_LEVELS, stream=output)


class Reading(Protocol):
    """What the metrics need of the source."""

    records: int
    repeats: int
    undecodable: int
    lag: int
    trouble: str | None


class Dropping(Protocol):
    """What the metrics need of the log's output."""

    dropped: int


class _Histogram:
    def __init__(self, name: str, about: str) -> None:
        self._name = name
        self._about = about
        self._counts = [0] * (len(_TURN_SECONDS) + 1)
        self._sum = 0.0

    def note(self, seconds: float) -> None:
        self._counts[bisect_left(_TURN_SECONDS, seconds)] += 1
        self._sum += seconds

    def metric(self) -> Metric:
        totals = [float(total) for total in accumulate(self._counts)]
        buckets = list(zip((*map(str, _TURN_SECONDS), "+Inf"), totals, strict=True))
        return HistogramMetricFamily(self._name, self._about, buckets=buckets, sum_value=self._sum)


class Turns:
    """The event loop's turns: while one lasts, nobody else is served.

    By the clock and by CPU time: on a machine that others use as well, the rest is theirs.
    """

    def __init__(self) -> None:
        self._seconds = _Histogram("postcast_edge_turn_seconds", "How long a turn of the event loop was.")
        self._cpu_seconds = _Histogram("postcast_edge_turn_cpu_seconds", "CPU time of a turn of the event loop.")

    def note(self, seconds: float, cpu_seconds: float) -> None:
        """Count a turn."""
        self._seconds.note(seconds)
        self._cpu_seconds.note(cpu_seconds)

    def metrics(self) -> Iterable[Metric]:
        """Return them for Prometheus."""
        return self._seconds.metric(), self._cpu_seconds.metric()


class Metrics:
    """The edge in numbers, as a Prometheus collector."""

    def __init__(self, log: Log, hub: Hub, source: Reading, gate: Gate, turns: Turns, *, output: Dropping) -> None:
        self._output = output
        self._log = log
        self._hub = hub
        self._source = source
        self._gate = gate
        self._turns = turns

    def registry(self) -> CollectorRegistry:
        """Make a registry of these metrics, the process's own and what runs here."""
        registry = CollectorRegistry()
        registry.register(self)
        Info("postcast_build", "What runs here", registry=registry).info({"version": __version__})
        ProcessCollector(registry=registry)
        return registry

    def collect(self) -> Iterable[Metric]:
        """Read the parts."""
        log, hub, source = self._log, self._hub, self._source
        yield GaugeMetricFamily("postcast_edge_connections", "Open WebSocket connections.", len(hub))
        yield GaugeMetricFamily(
            "postcast_edge_lagging", "Clients that have not been sent all that there is.", hub.lagging
        )
        yield CounterMetricFamily("postcast_edge_posts_sent", "Posts sent, each to each client.", hub.posts_sent)
        yield CounterMetricFamily("postcast_edge_bytes_sent", "Bytes of posts and greetings sent.", hub.bytes_sent)
        closes = CounterMetricFamily(
            "postcast_edge_closes", "Connections that ended, by who closed and the close code.", labels=["by", "code"]
        )
        for labels, count in sorted(hub.closes.items()):
            closes.add_metric(labels, count)
        yield closes
        census = self._gate.census
        yield GaugeMetricFamily("postcast_edge_sockets", "Connections of all kinds.", census.connections)
        yield GaugeMetricFamily("postcast_edge_sockets_limit", "How many connections there may be.", census.total)
        limited = CounterMetricFamily(
            "postcast_edge_limited", "Connections refused or ended by a limit.", labels=["limit"]
        )
        for limit, count in sorted(self._gate.limited.items()):
            limited.add_metric([limit], count)
        yield limited
        yield CounterMetricFamily("postcast_edge_records", "Records of the feed read.", source.records)
        yield CounterMetricFamily("postcast_edge_repeats", "Posts of the feed that repeat one.", source.repeats)
        yield CounterMetricFamily(
            "postcast_edge_undecodable", "Records of the feed that could not be read.", source.undecodable
        )
        yield GaugeMetricFamily(
            "postcast_edge_feed_offset", "Offset of the next record to be read.", log.next_offset or 0
        )
        yield GaugeMetricFamily(
            "postcast_edge_feed_lag_records", "Records of the feed that are not read yet.", source.lag
        )
        yield GaugeMetricFamily("postcast_edge_feed_followed", "1 while the feed is followed.", source.trouble is None)
        yield GaugeMetricFamily("postcast_edge_log_bytes", "Size of the log.", log.size)
        yield GaugeMetricFamily("postcast_edge_log_posts", "Posts in the log.", log.head - log.tail)
        dropped = self._output.dropped
        yield CounterMetricFamily(
            "postcast_edge_log_lines_dropped", "Lines of the log that nobody has read in time.", dropped
        )
        yield from self._turns.metrics()
