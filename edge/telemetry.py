"""Exports the edge's metrics: they are read from the parts at each scrape, and counting costs an increment."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Info, ProcessCollector
from prometheus_client.core import Metric

from edge import __version__
from edge.access.entrance import Gate
from edge.clients.link import TRANSPORTS, Surroundings
from edge.feed.log import Log
from edge.histogram import Histogram
from edge.measured import FeedState, HasFigures, LogOutput, PositionsState, ReplayState
from edge.metric_families import counter, counters, gauge, gauges, histogram, single
from streams.contract import Millis

# 20 ms is the most that it should ever be.
_TURN_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class TurnTimes:
    """Histograms of the event loop's turns: while one lasts, nothing else is served.

    By the clock and by CPU time: the difference is time in which other processes had the core.
    """

    def __init__(self) -> None:
        self._seconds, self._cpu_seconds = Histogram(_TURN_SECONDS), Histogram(_TURN_SECONDS)

    def note(self, seconds: float, cpu_seconds: float) -> None:
        """Count a turn."""
        self._seconds.note(seconds)
        self._cpu_seconds.note(cpu_seconds)

    def metrics(self) -> Iterable[Metric]:
        """Return both as Prometheus metrics."""
        yield histogram("turn_seconds", "How long a turn of the event loop was.", self._seconds)
        yield histogram("turn_cpu_seconds", "CPU time of a turn of the event loop.", self._cpu_seconds)


class Metrics:
    """The edge's metrics, as a Prometheus collector."""

    def __init__(
        self,
        log: Log,
        source: FeedState,
        around: Surroundings,
        turns: TurnTimes,
        *,
        replays: ReplayState,
        admin: Gate,
        output: LogOutput,
        posts: HasFigures,
        positions: PositionsState | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock`` is the loop's."""
        self._clock = clock
        self._replays = replays
        self._posts = posts
        self._around = around
        self._output = output
        self._log = log
        self._hub = around.hub
        self._source = source
        self._gate = around.gate
        self._admin = admin
        self._turns = turns
        self._positions = positions

    def registry(self) -> CollectorRegistry:
        """Make a registry of these metrics, the process's own and the build's."""
        registry = CollectorRegistry()
        registry.register(self)
        Info("postcast_build", "What runs here", registry=registry).info({"version": __version__})
        ProcessCollector(registry=registry)
        return registry

    def collect(self) -> Iterable[Metric]:
        """Read the parts."""
        yield from self._clients()
        yield from self._connections()
        yield from self._pages()
        yield from self._feed()
        yield from _replays(self._replays)
        if self._positions is not None:
            yield from _stored(self._positions)
        dropped = self._output.dropped
        yield counter("log_lines_dropped", "Lines of the log that nobody has read in time.", dropped)
        yield from self._turns.metrics()

    def _clients(self) -> Iterable[Metric]:
        hub = self._hub
        connections: dict[str, float] = {transport: self._around.open[transport] for transport in TRANSPORTS}
        yield gauges("connections", "Open connections of clients, by transport.", "transport", connections)
        yield gauge("lagging", "Clients that have not been sent all that there is.", hub.lagging)
        yield counter("posts_sent", "Posts sent, each to each client.", hub.delivery.posts)
        yield counter("bytes_sent", "Bytes of posts and greetings sent.", hub.delivery.bytes)
        about = "Reads of which nothing was sent, since they were not what their clients may see: a defect."
        yield counter("mismatches", about, hub.delivery.mismatches)
        yield counter("heartbeats", "Heartbeats sent.", hub.heartbeats.sent)
        about = "From the read of a record to the last client at the head having been written it."
        yield histogram("fanout_seconds", about, hub.delays.seconds)
        yield from self._filters()
        waits = hub.waits()
        depths = {kind.value: wait.clients for kind, wait in waits.items()}
        yield gauges("agenda_clients", "Clients that wait for their turn, by kind.", "kind", depths)
        ages = {kind.value: wait.oldest for kind, wait in waits.items()}
        yield gauges("agenda_oldest_seconds", "For how long the first of them has waited.", "kind", ages)
        unacknowledged = self._around.unacknowledged
        yield gauge("acknowledging", "Clients that acknowledge what they have dealt with.", len(unacknowledged))
        about = "How old the oldest post is that one of these was sent and has not acknowledged."
        now_ms = Millis(time.time_ns() // 1_000_000)
        age = unacknowledged.age(self._log.kept.window_after, self._clock(), now_ms)
        yield gauge("unacknowledged_seconds", about, age)
        tally = self._around.tally
        yield counters("requests", "Messages from clients with cursors.", ["action"], single(tally.requests))
        yield counters("errors", "Requests that were not done.", ["code"], single(tally.errors))
        about = "Connections that ended, by who closed and the close code."
        yield counters("closes", about, ["by", "code"], self._around.closes.items())

    def _filters(self) -> Iterable[Metric]:
        filters, rest = self._hub.filters, self._hub.rest
        yield gauge("filters", "Different filters that clients have.", len(filters))
        yield gauge("filter_entries", "Authors of all filters, as far as they are in the index.", filters.entries)
        yield counter("filter_records", "Records that were looked up in the index of filters.", rest.matched)
        about = "Groups of clients with one filter for which the index had posts of a record."
        yield counter("filter_matches", about, rest.woken)

    def _connections(self) -> Iterable[Metric]:
        census, limited = self._gate.census, self._gate.limited
        yield gauge("sockets", "Connections of all kinds.", census.connections)
        yield gauge("sockets_limit", "How many connections there may be.", census.total)
        about = "Connections refused or ended by a limit."
        yield counters("limited", about, ["limit"], single(limited))
        about = "Connections to ADMIN_PORT refused or ended by a limit."
        yield counters("admin_limited", about, ["limit"], single(self._admin.limited))
        yield counters("http_answers", "HTTP answers.", ["status"], single(self._gate.answers.counts))
        around = self._around
        about = "Clients refused, by HTTP or by a close, and why."
        yield counters("refusals", about, ["by", "why"], around.refusals.items())
        about = "Clients that brought a token, or should have, by what became of it."
        yield counters("sign_ins", about, ["outcome"], single(around.sign_ins))
        about = "Questions for an issuer's keys, by what became of them."
        yield counters("key_fetches", about, ["outcome"], single(around.key_fetches))
        about = "Clients that came with a cursor, by what became of it."
        yield counters("resumes", about, ["outcome"], single(around.resumes))
        yield counter("takeovers", "Connections taken over for a WebSocket or events.", self._gate.takeovers)
        about = "From a client's request to its answer and what was ready for it."
        yield histogram("join_seconds", about, self._gate.join_seconds)

    def _pages(self) -> Iterable[Metric]:
        pages = self._posts.figures
        yield counters("page_answers", "Answers to requests for pages.", ["status"], single(pages.answers))
        yield gauge("page_polls", "Long polls that wait for a post.", pages.waiting)
        yield counter("page_bytes_sent", "Bytes of pages that clients have taken.", pages.bytes_sent)
        yield counter("page_stalled", "Clients that were cut since they took nothing of a page.", pages.stalled)
        yield counter("pages_made", "Pages made, each for all who ask for it at the same time.", pages.made)
        yield gauge("pages_bytes", "Size of the pages that are being sent.", pages.bytes)

    def _feed(self) -> Iterable[Metric]:
        log, source = self._log, self._source
        yield counter("records", "Records of the feed read.", source.records)
        yield counter("repeats", "Posts of the feed that repeat one.", source.repeats)
        yield counter("undecodable", "Records of the feed that could not be read.", source.undecodable)
        yield counters(
            "gaps", "Gaps in the feed, by the reason that clients are told.", ["reason"], single(source.gaps)
        )
        yield counter("reconnects", "Connections to Kafka after the first.", source.reconnects)
        yield gauge("feed_offset", "Offset of the next record to be read.", log.next_offset or 0)
        yield gauge("feed_lag_records", "Records of the feed that are not read yet.", source.lag)
        yield gauge("feed_lag_seconds", "For how long the feed was not read to its end.", source.lag_seconds)
        yield gauge("feed_followed", "1 while the feed is followed.", source.trouble is None)
        yield gauge("log_bytes", "Size of the log.", log.size)
        yield gauge("log_posts", "Posts in the log.", log.posts)
        yield counter("encodings_made", "Encodings made of records.", log.encodings.made)
        yield counter("encodings_evicted", "Encodings let go to make room.", log.encodings.evicted)


def _replays(replays: ReplayState) -> Iterable[Metric]:
    yield gauge("replays", "Replays that run.", len(replays))
    yield gauge("replay_readers", "Clients that read a replay, or wait for their place in one.", replays.readers)
    yield gauge("replay_log_bytes", "What records in replays cost in memory.", replays.size)
    yield counter("replays_begun", "Replays begun.", replays.begun)
    yield counter("replay_records", "Records of the feed read for replays.", replays.records)
    yield counter("replay_bytes", "Bytes of the values of these records.", replays.bytes)
    yield counter("replay_left_behind", "Clients of replays that others did not wait for.", replays.left_behind)
    about = "Cursors refused for now, by the bound on replays that was reached."
    yield counters("replays_refused", about, ["bound"], single(replays.refused))


def _stored(positions: PositionsState) -> Iterable[Metric]:
    yield gauge("positions_reachable", "1 while positions can be stored and found.", positions.trouble is None)
    yield gauge("positions_waiting", "Devices that have acknowledged what is not stored.", positions.waiting)
    yield gauge("positions_waiting_seconds", "For how long the first of them has waited.", positions.age)
    yield counter("positions_stored", "Positions stored.", positions.stored)
    about = "Questions to the database of positions, by what was asked and whether it answered."
    counts = {("write", outcome): count for outcome, count in positions.writes.items()}
    counts |= {("read", outcome): count for outcome, count in positions.reads.items()}
    yield counters("positions_asked", about, ["what", "outcome"], counts.items())
