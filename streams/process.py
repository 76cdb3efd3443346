"""The process around the worker: Faust's own, whose first line in the log says which release this is."""

import logging

import faust

from runtime.command import release
from streams.telemetry import log


class Process(faust.Worker):
    """Sets logging up, and logs before any other part does."""

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Log the release."""
        super().on_setup_root_logger(logger, level)
        log.info("process.started", **release())
