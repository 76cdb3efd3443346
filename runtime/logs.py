"""Logs of both processes: events with fields, as JSON or as lines for a terminal.

Both processes write the same form. The worker sends its events through :mod:`logging` (:func:`configure_structlog`),
where Faust sets the level and the handlers from :func:`logging_config`. The edge writes its events directly
(:func:`configure_directly`), because two lines for each session through :mod:`logging` cost a fifth of the session.
"""

import logging
import logging.config
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Literal, Protocol

import structlog
from structlog.types import Processor

Level = Literal["debug", "info", "warning", "error", "critical"]
Format = Literal["auto", "json", "console"]
"""``auto`` is ``console`` when standard output is a terminal, otherwise ``json``."""

# Loggers that repeat secrets at DEBUG: aiokafka prints its requests, and that of SASL/PLAIN holds the password.
_SECRETIVE: Final = ("aiokafka.conn",)

_SHARED: Final[list[Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class Stream(Protocol):
    """Where lines go."""

    def write(self, line: str, /) -> int:
        """Take a line."""
        ...

    def flush(self) -> None:
        """Have it written soon."""
        ...


class Once(logging.Filter):
    """Pass a line that was not logged in the last ten seconds.

    While Kafka is away aiokafka logs the same words dozens of times a second.
    """

    _SECONDS: Final = 10.0
    _LINES: Final = 100

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is to be written."""
        line = (record.name, record.getMessage())
        last = self._last.get(line)
        if last is not None and record.created - last < self._SECONDS:
            return False
        if len(self._last) >= self._LINES:
            self._last.clear()
        self._last[line] = record.created
        return True


class Line:
    """A structlog logger that writes each event of one logger as a line, without :mod:`logging`.

    With a record, a search of the stack for the caller and two processors more, the two lines of a session were a
    fifth of what the session cost. The search also left frames that lived as long as the session.
    """

    __slots__ = ("_output", "name")

    def __init__(self, output: Stream, name: str) -> None:
        self._output = output
        self.name = name

    def info(self, line: str) -> None:
        """Write a line, whatever its level."""
        # A session does not end because the log has no reader.
        with suppress(OSError):
            self._output.write(f"{line}\n")
            self._output.flush()

    debug = warning = error = critical = info


def logging_config(
    level: Level | None,
    form: Format,
    *,
    levels: Mapping[str, Level] = {},
    stream: object = "ext://sys.stdout",
) -> dict[str, Any]:
    """Return a configuration for :func:`logging.config.dictConfig` that writes all logs to ``stream``.

    ``level`` is the root logger's; None leaves it to Faust's ``-l`` option, which fills it in where the configuration
    says "merge". ``levels`` are the lowest levels of single loggers.
    """
    root: dict[str, Any] = {"handlers": ["stdout"]}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"once": {"()": Once}},
        "formatters": {
            "structlog": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(form)],
            }
        },
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": stream,
                "formatter": "structlog",
                "filters": ["once"],
            }
        },
        "loggers": {
            name: {"level": least.upper()} for name, least in {**dict.fromkeys(_SECRETIVE, "info"), **levels}.items()
        },
        **({"merge": True, "root": root} if level is None else {"root": {"level": level.upper(), **root}}),
    }


def configure_structlog() -> None:
    """Send structlog's events through the handlers and levels of :mod:`logging`, where all other logs go."""
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


def configure_directly(
    level: Level, form: Format, *, levels: Mapping[str, Level], stream: Stream | None = None
) -> None:
    """Write structlog's events to ``stream`` without :mod:`logging`, and the logs of libraries beside them.

    Without a stream they go to standard output. What is drawn for a terminal is decided by standard output.
    """
    output = sys.stdout if stream is None else stream
    structlog.configure(
        processors=[*_SHARED, *_rendering(form)],
        logger_factory=partial(Line, output),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(logging_config(level, form, levels=levels, stream=output))


def _rendering(form: Format) -> list[Processor]:
    if form == "console" or (form == "auto" and sys.stdout.isatty()):
        # It prints a traceback itself; where rich is installed, with what is in all variables, unless it is told how.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
