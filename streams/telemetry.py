"""Metrics of a worker, and the log of what it waits for."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Metric, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from streams import __version__
from streams.contract import Partition
from streams.progress import Progress, Waiting

log: structlog.stdlib.BoundLogger = structlog.get_logger("postcast.streams")


class Holds(Protocol):
    """What the metrics read of a flow: :class:`streams.standing.Standing`."""

    @property
    def held_live(self) -> int:
        """How many ids of live windows are held."""
        ...

    @property
    def held_overdue(self) -> int:
        """How many ids of overdue windows are held."""
        ...

    @property
    def behind(self) -> Collection[Partition]:
        """The assigned partitions that no live window waits for."""
        ...

    def lags(self) -> Mapping[Partition, tuple[int, float]]:
        """Return how many records of each assigned partition are not released, and the oldest one's age in seconds."""
        ...


class Metrics:
    """The worker's metrics, in a registry of their own.

    What is counted is counted by who does it; what can be read at any time is read when the metrics are asked for.
    """

    def __init__(self, registry: CollectorRegistry, progress: Progress) -> None:
        ProcessCollector(registry=registry)
        registry.register(_ProgressCollector(progress))
        self._held = _HeldCollector()
        registry.register(self._held)
        Info("postcast_build", "What runs here", registry=registry).info({"version": __version__})
        tasks = Gauge("postcast_tasks", "Tasks of the event loop", registry=registry)
        tasks.set_function(_tasks)
        self.queue_messages = Gauge(
            "postcast_queue_messages", "Deliveries that wait in the RabbitMQ queue, asked every 10 s", registry=registry
        )
        self.unacknowledged = Gauge(
            "postcast_unacknowledged", "Deliveries that were taken and are not acknowledged", registry=registry
        )
        self.deliveries = Counter("postcast_deliveries", "Deliveries that Kafka has confirmed", registry=registry)
        self.batches = Counter("postcast_batches", "Batches looked up and published", registry=registry)
        self.posts = Counter("postcast_posts", "Posts published on the feed", registry=registry)
        self.retries = Counter("postcast_retries", "Posts announced again since they were not found", registry=registry)
        self.dead = Counter("postcast_dead_letters", "Records written to posts.dead", ["reason"], registry=registry)
        self.lookup_seconds = Histogram("postcast_lookup_seconds", "Time of one statement", registry=registry)
        self.halvings = Counter("postcast_halvings", "Statements that were halved", registry=registry)
        self.control_lookups = Counter(
            "postcast_control_lookups",
            "Lookups of an id that was read before, after another one failed",
            registry=registry,
        )
        self.window_delay_seconds = Histogram(
            "postcast_window_delay_seconds",
            "From a window's end to its confirmation on the feed",
            buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300),
            registry=registry,
        )

    def read_from(self, holds: Holds) -> None:
        """Tell where to read what is held and what is behind."""
        self._held.holds = holds


class _HeldCollector(Collector):
    """The metrics of what is read and not released."""

    holds: Holds | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as of now."""
        held = GaugeMetricFamily("postcast_held_ids", "Ids read and not yet released", labels=["kind"])
        behind = GaugeMetricFamily("postcast_partitions_behind", "Assigned partitions that no live window waits for")
        records = GaugeMetricFamily("postcast_lag_records", "Records that are not released", labels=["partition"])
        seconds = GaugeMetricFamily("postcast_lag_seconds", "Age of the oldest of these", labels=["partition"])
        if self.holds is not None:
            held.add_metric(["live"], self.holds.held_live)
            held.add_metric(["overdue"], self.holds.held_overdue)
            behind.add_metric([], len(self.holds.behind))
            for partition, (number, age) in self.holds.lags().items():
                records.add_metric([str(partition)], number)
                seconds.add_metric([str(partition)], age)
        yield from (held, behind, records, seconds)


class _ProgressCollector(Collector):
    """The metrics that the stages' reports say."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as of now."""
        waiting = GaugeMetricFamily("postcast_waiting", "1 while this part waits for something", labels=["part"])
        for stage in self._progress.stages.values():
            waiting.add_metric([stage.name], float(bool(stage.waiting)))
        yield waiting
        look_up = self._progress.stages.get("look up")
        yield GaugeMetricFamily(
            "postcast_statement_age_seconds",
            "Age of the statement under way; 0 without one",
            value=look_up.asked_seconds if look_up else 0.0,
        )


class WaitingLog:
    """Logs when a part begins to wait, when the reason changes, and when it goes on; not each attempt."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def update(self, waiting: Iterable[Waiting]) -> None:
        """Compare what is waited for now with what it was at the last call."""
        now: dict[str, str] = {}
        for stage, _, why in waiting:
            now[stage] = f"{now[stage]}; {why}" if stage in now else why
        for stage, why in now.items():
            if self._known.get(stage) != why:
                log.warning("service.waiting", part=stage, why=why)
        for stage in self._known.keys() - now.keys():
            log.info("service.well", part=stage)
        self._known = now


def readiness(progress: Progress) -> tuple[int, str]:
    """Return the status and the text of ``/readyz``: a line for each part that waits."""
    lines = [f"{stage}: {why}\n" for stage, _, why in progress.waiting]
    return (503, "".join(lines)) if lines else (200, "ok\n")


def _tasks() -> float:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        # Asked outside of the event loop.
        return 0.0
