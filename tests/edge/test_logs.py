"""The edge's log."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from edge import logs


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Log to standard output that is no terminal, and put the root logger back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("aiokafka", "aiohttp.websocket")}
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    logs.configure("info", "auto")
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def test_ours_and_the_libraries_lines_are_alike(output: io.StringIO) -> None:
    """JSON where nobody sits before it, one object a line; what we say ourselves is not said twice."""
    structlog.get_logger("edge.test").info("session.opened", peer="p")
    logging.getLogger("aiohttp.server").error("Unhandled %s", "exception")
    logging.getLogger("aiokafka.client").error("Unable to connect")
    ours, theirs = (json.loads(line) for line in output.getvalue().splitlines())
    assert {key: ours[key] for key in ("event", "peer", "level", "logger")} == {
        "event": "session.opened",
        "peer": "p",
        "level": "info",
        "logger": "edge.test",
    }
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("Unhandled exception", "error", "aiohttp.server")
    assert set(theirs) == {"event", "level", "logger", "timestamp"}
