"""Logs, metrics and health of a worker."""

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

log: structlog.stdlib.BoundLogger = structlog.get_logger("postcast.streams")


class Health:
    """What the worker waits for. It is ready when it waits for nothing.

    Each part that depends on another service says so when it begins to wait and when all is well
    again; a change is logged once, not each attempt.
    """

    def __init__(self, *parts: str) -> None:
        self._waiting = dict.fromkeys(parts, "not started yet")

    def waiting(self, part: str, why: str) -> None:
        """Note that ``part`` cannot go on, and why."""
        if self._waiting.get(part) != why:
            log.warning("service.waiting", part=part, why=why)
        self._waiting[part] = why

    def well(self, part: str) -> None:
        """Note that ``part`` goes on."""
        if self._waiting.pop(part, None) is not None:
            log.info("service.well", part=part)

    @property
    def problems(self) -> dict[str, str]:
        """What is waited for, by part."""
        return dict(self._waiting)


class Metrics:
    """The worker's metrics, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        ProcessCollector(registry=registry)
        self.deliveries = Counter("postcast_deliveries", "Deliveries that Kafka has confirmed", registry=registry)
        self.windows = Counter("postcast_windows", "Windows looked up and published", registry=registry)
        self.posts = Counter("postcast_posts", "Posts published on the feed", registry=registry)
        self.retries = Counter("postcast_retries", "Posts announced again since they were not found", registry=registry)
        self.dead = Counter("postcast_dead_letters", "Records written to posts.dead", ["reason"], registry=registry)
        self.held = Gauge("postcast_held_records", "Records read and not yet released", registry=registry)
        self.lookup_seconds = Histogram("postcast_lookup_seconds", "Time of one statement", registry=registry)
        self.window_delay_seconds = Histogram(
            "postcast_window_delay_seconds",
            "From a window's end to its confirmation on the feed",
            buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300),
            registry=registry,
        )
