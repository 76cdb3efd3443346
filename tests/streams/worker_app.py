"""The worker's composition root for unit tests, which leaves the rest of the process as it was.

Importing ``streams.worker`` makes uvloop the process's event loop, and a worker that is made has the process's logs.
"""

import asyncio
from collections.abc import Callable

import structlog

from streams.settings import Settings

_policy = asyncio.get_event_loop_policy()

from streams import worker  # noqa: E402 - the policy of before is the point

asyncio.set_event_loop_policy(_policy)

__all__ = ["create", "worker"]


def create(settings: Settings, checkpoint: Callable[[str], None] = lambda _: None) -> worker.Worker:
    """Make a worker in the running event loop."""
    logs = structlog.get_config()
    try:
        app = worker.create_app(settings, checkpoint)
    finally:
        structlog.configure(**logs)
    assert isinstance(app, worker.Worker)
    return app
