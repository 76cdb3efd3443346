"""Configures the edge's log: events with fields, as lines for people at a terminal and as JSON elsewhere.

Libraries log through the same output.
"""

from typing import Final

from runtime.logs import Format, Level, Stream, configure_directly

# Loggers of libraries for events that the edge logs itself, once each:
_LEVELS: Final[dict[str, Level]] = {
    # each attempt to reach a broker that is away
    "aiokafka": "critical",
    # each client that offers an unknown subprotocol
    "aiohttp.websocket": "error",
}


def configure(level: Level, form: Format, output: Stream | None = None) -> None:
    """Write everything that is logged to ``output``, or to standard output."""
    configure_directly(level, form, levels=_LEVELS, stream=output)
