"""Logs, metrics and health of a worker."""

import logging
import sys
from typing import Any, Final

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


_SHARED: Final[list[structlog.types.Processor]] = [
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class Once(logging.Filter):
    """Lets a line through that was not logged in the last ten seconds.

    While Kafka is away aiokafka says so dozens of times a second, in the same words.
    """

    _SECONDS: Final = 10.0
    _LINES: Final = 100

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the line is news."""
        line = (record.name, record.getMessage())
        last = self._last.get(line)
        if last is not None and record.created - last < self._SECONDS:
            return False
        if len(self._last) >= self._LINES:
            self._last.clear()
        self._last[line] = record.created
        return True


def logging_config(level: str = "INFO") -> dict[str, Any]:
    """Return a ``logging.config`` for everybody's logs: lines for people on a terminal, else JSON."""
    terminal = sys.stdout.isatty()
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    # A traceback belongs to the JSON object; the console renderer prints it itself, in colour.
    traceback: list[structlog.types.Processor] = [] if terminal else [structlog.processors.format_exc_info]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"once": {"()": Once}},
        "formatters": {
            "structlog": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta, *traceback, renderer,
                ],
            }
        },
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "structlog",
                "filters": ["once"],
            }
        },
        "root": {"level": level, "handlers": ["stdout"]},
    }  # fmt: skip


def configure_structlog() -> None:
    """Send structlog's events through the standard library's handlers, where all other logs go."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
