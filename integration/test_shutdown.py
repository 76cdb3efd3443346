"""SIGTERM under load, workers that come and go, edges that restart: nothing is lost to whoever has a cursor."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from integration.author import Author, author_of
from integration.clients import connect
from integration.conftest import Install
from integration.system import Process, System

PAUSE_SECONDS: Final = 0.05
"""From one burst of the load to the next."""


class Load:
    """Posts that are published all the time, a few at once."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    async def run(self, author: Author) -> None:
        """Publish until cancelled."""
        while True:
            self.ids += await author.publish(3)
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def _load(author: Author) -> AsyncIterator[Load]:
    load = Load()
    running = asyncio.create_task(load.run(author))
    try:
        yield load
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _partitions(worker: Process) -> set[int]:
    """Return what a worker was assigned last."""
    events = worker.events("partitions.assigned")
    return set(events[-1]["partitions"]) if events else set()
