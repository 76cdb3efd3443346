"""The client of Durable Streams from npm, as a program that follows a feed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from integration import npm
from integration.clients import PATIENCE_SECONDS

CLIENT: Final = "@durable-streams/client@0.2.7"
_SCRIPT: Final = Path(__file__).with_name("durable_client.cjs")


class Follower:
    """A client that follows a feed, and the batches that it has got."""

    def __init__(self, lines: asyncio.StreamReader) -> None:
        self._lines = lines
        self.batches: list[dict[str, Any]] = []

    @property
    def ids(self) -> list[int]:
        """The posts that it has got, in this order."""
        return [item["payload"]["id"] for batch in self.batches for item in batch["items"]]

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Read on until the condition holds."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not condition():
                    batch = json.loads(await self._lines.readline())
                    assert "error" not in batch, batch
                    self.batches.append(batch)
        except TimeoutError:
            raise AssertionError(f"not in time: {what}; it has {self.ids}") from None


@asynccontextmanager
async def following(folder: Path, url: str, offset: str = "-1") -> AsyncIterator[Follower]:
    """Follow the feed at a URL; ``folder`` holds the client."""
    async with npm.running(_SCRIPT, folder, url, offset) as node:
        yield Follower(node.said)
