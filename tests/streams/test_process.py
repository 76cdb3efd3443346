"""The log's first line says which release runs, before Faust says anything."""

import logging

import faust
import structlog

from runtime.command import release
from streams.process import Process


def test_the_release_is_logged_as_soon_as_there_is_a_log() -> None:
    app = faust.App("test", broker="kafka://127.0.0.1:9")
    with structlog.testing.capture_logs() as lines:
        Process(app).on_setup_root_logger(logging.getLogger("test"), logging.INFO)
    assert lines == [{"event": "process.started", "log_level": "info", **release()}]
