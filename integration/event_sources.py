"""Readers of Server-Sent Events that are not ours: Chromium's and Firefox's EventSource, and that of npm."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from integration import browser, firefox, npm

EVENTSOURCE: Final = "eventsource@5.1.5"
"""What must be installed by :mod:`integration.npm` for Node."""
KINDS: Final = ("chromium", "firefox", "node")
_TYPES: Final = ("message", "welcome", "caught_up", "heartbeat", "end")
_SCRIPT: Final = Path(__file__).with_name("listen.mjs")
_PATIENCE_SECONDS: Final = 90.0
_LOOK_SECONDS: Final = 0.05
_LISTEN: Final = """
(() => {
  globalThis.heard = [];
  globalThis.source = new EventSource(URL_);
  for (const type of TYPES)
    source.addEventListener(type, (event) => heard.push([type, event.data, event.lastEventId]));
})()
"""


class Heard(NamedTuple):
    """An event as the reader's program gets it."""

    type: str
    data: str
    last_event_id: str

    @property
    def payload(self) -> dict[str, Any]:
        """The message's payload."""
        payload: dict[str, Any] = json.loads(self.data)["payload"]
        return payload


class Source:
    """One reader; ``read`` returns all that it has heard."""

    def __init__(self, read: Callable[[], Awaitable[list[list[str]]]]) -> None:
        self._read = read
        self.heard: list[Heard] = []

    @property
    def ids(self) -> list[int]:
        """The posts, in the order in which they came."""
        return [each.payload["id"] for each in self.heard if each.type == "message"]

    def of(self, type_: str) -> list[Heard]:
        """Return the events of a type."""
        return [each for each in self.heard if each.type == type_]

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Look until the condition holds."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while True:
                    self.heard = [Heard(*each) for each in await self._read()]
                    if condition():
                        return
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise AssertionError(f"not within {_PATIENCE_SECONDS:.0f} s: {what}; heard {self.heard}") from None


@asynccontextmanager
async def listening(kind: str, folder: Path, origin: str, query: str = "") -> AsyncIterator[Source]:
    """Listen to the events of ``origin``; ``folder`` is where the packages from npm are.

    A browser does so in a page of the same origin.
    """
    url = f"{origin}/events{query}"
    async with AsyncExitStack() as stack:
        if kind == "node":
            yield await stack.enter_async_context(_in_node(folder, url))
            return
        page = await stack.enter_async_context(opened(kind, folder, origin))
        await page.evaluate(_LISTEN.replace("URL_", json.dumps(url)).replace("TYPES", json.dumps(_TYPES)))

        async def read() -> list[list[str]]:
            heard: list[list[str]] = await page.evaluate("globalThis.heard")
            return heard

        yield Source(read)


@asynccontextmanager
async def opened(kind: str, folder: Path, origin: str) -> AsyncIterator[Any]:
    """Open a page of an edge without scripts of its own in a browser."""
    async with AsyncExitStack() as stack:
        if kind == "firefox":
            page: Any = await (await stack.enter_async_context(firefox.started(folder))).new_page()
        else:
            page = await (await stack.enter_async_context(browser.started())).new_page()
        await page.goto(f"{origin}/livez")
        yield page


@asynccontextmanager
async def _in_node(folder: Path, url: str) -> AsyncIterator[Source]:
    async with npm.listening(_SCRIPT, folder, url, *_TYPES) as heard:

        async def read() -> list[list[str]]:
            return heard

        yield Source(read)
