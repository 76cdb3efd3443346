"""Viewers with the JavaScript client, in Node and in browsers: what each was shown, in order."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from integration import browser, firefox, npm

CLIENT: Final = Path(__file__).parents[1] / "edge/assets/client.js"
KINDS: Final = ("node", "node-22", "chromium", "firefox")
WS: Final = "ws@8.23.0"
_SCRIPT: Final = Path(__file__).with_name("follow.mjs")
_PATIENCE_SECONDS: Final = 90.0
_FOLLOW: Final = """
import("/client.js").then(({ connect }) => {
  globalThis.said = [];
  const { tokenUrl, ...asked } = OPTIONS;
  const fetched = async () => {
    const answer = await fetch(tokenUrl);
    if (!answer.ok) throw new Error(`no token: ${answer.status}`);
    return answer.text();
  };
  globalThis.feed = connect(URL_, tokenUrl ? { ...asked, token: fetched } : asked);
  const listen = (type, value) => feed.addEventListener(type, ({ detail }) => said.push([type, value(detail)]));
  listen("post", ({ post }) => String(post.id));
  listen("gap", ({ gap }) => gap.reason);
  listen("state", ({ state, code }) => `${state} ${code ?? ""}`);
  feed.addEventListener("state", () => feed.session && said.push(["session", feed.session]));
  listen("error", String);
})
"""


class Page(Protocol):
    """What viewers use of a browser's page."""

    async def goto(self, url: str, /) -> object:
        """Open a URL."""
        ...

    async def evaluate(self, expression: str, /) -> Any:
        """Return an expression's value."""
        ...

    async def close(self) -> None:
        """Close it."""
        ...


class Viewer:
    """One feed; ``read`` returns everything that it has said."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read
        self.said: list[tuple[str, str]] = []

    async def look(self) -> None:
        """Bring :attr:`said` up to date."""
        self.said = [(type_, value) for type_, value in await self._read()]

    @property
    def ids(self) -> list[int]:
        """The posts that were shown."""
        return [int(value) for type_, value in self.said if type_ == "post"]

    @property
    def gaps(self) -> list[str]:
        """Why posts may be missing."""
        return [value for type_, value in self.said if type_ == "gap"]

    @property
    def sessions(self) -> list[str]:
        """The names of its connections, in the order in which they began."""
        return list(dict.fromkeys(value for type_, value in self.said if type_ == "session"))

    @property
    def errors(self) -> list[str]:
        """What the token function has thrown."""
        return [value for type_, value in self.said if type_ == "error"]

    @property
    def state(self) -> str:
        """The state that was entered last."""
        return next((value.split()[0] for type_, value in reversed(self.said) if type_ == "state"), "connecting")

    @property
    def code(self) -> int | None:
        """The close code with which it was entered, if there was one."""
        entered = next((value.split() for type_, value in reversed(self.said) if type_ == "state"), [])
        return int(entered[1]) if len(entered) > 1 else None

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Look until the condition holds."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self.look()
                while not condition():
                    await asyncio.sleep(0.05)
                    await self.look()
        except TimeoutError:
            raise AssertionError(f"not within {_PATIENCE_SECONDS:.0f} s: {what}; it said {self.said}") from None


@asynccontextmanager
async def in_node(folder: Path, url: str, options: dict[str, Any], node: Path | str = "node") -> AsyncIterator[Viewer]:
    """Follow a feed in a process of Node's; ``folder`` is where :data:`WS` is installed, for a Node without its own."""
    async with npm.listening(_SCRIPT, folder, str(CLIENT), url, json.dumps(options), node=node) as said:

        async def read() -> list[tuple[str, str]]:
            return [tuple(each) for each in said]

        yield Viewer(read)


async def in_page(page: Page, origin: str, url: str, options: dict[str, Any]) -> Viewer:
    """Follow a feed in a page of an edge that goes on, with the client that this edge serves."""
    await page.goto(f"{origin}/livez")
    await page.evaluate(_FOLLOW.replace("URL_", json.dumps(url)).replace("OPTIONS", json.dumps(options)))

    async def read() -> Any:
        return await page.evaluate("globalThis.said")

    return Viewer(read)


Opened = Callable[[], Any]


@asynccontextmanager
async def windows(kind: str, folder: Path) -> AsyncIterator[Opened]:
    """Start a browser; yield what opens one more page in it."""
    async with AsyncExitStack() as stack:
        if kind == "firefox":
            started = await stack.enter_async_context(firefox.started(folder))
            yield started.new_page
        else:
            chromium = await stack.enter_async_context(browser.started())
            context = await stack.enter_async_context(await chromium.new_context())
            yield context.new_page


@asynccontextmanager
async def viewing(kind: str, folder: Path, origin: str, url: str, options: dict[str, Any]) -> AsyncIterator[Viewer]:
    """Follow a feed with one viewer of a kind."""
    async with AsyncExitStack() as stack:
        if kind == "node":
            yield await stack.enter_async_context(in_node(folder, url, options))
        elif kind == "node-22":
            yield await stack.enter_async_context(in_node(folder, url, options, npm.node_22(folder)))
        else:
            new_page = await stack.enter_async_context(windows(kind, folder))
            yield await in_page(await new_page(), origin, url, options)
