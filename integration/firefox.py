"""Debian's Firefox for tests, over WebDriver BiDi: Playwright drives only a Firefox of its own."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

from integration import npm
from integration.conftest import lacking

PUPPETEER: Final = "puppeteer-core@24.43.1"
"""What must be installed by :mod:`integration.npm`."""
_SCRIPT: Final = Path(__file__).with_name("firefox.cjs")
_ANSWER_SECONDS: Final = 60


class FirefoxError(Exception):
    """What was asked of the browser failed; the message is the browser's."""


class Firefox:
    """A browser; made by :func:`started`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._asked: dict[int, asyncio.Future[Any]] = {0: asyncio.get_running_loop().create_future()}
        self._ids = count(1)

    async def new_page(self) -> "FirefoxPage":
        """Open an empty page, beside others in the same window."""
        page = FirefoxPage(self, next(self._ids))
        await self.call(page.number, "open")
        return page

    async def call(self, page: int, call: str, text: str = "") -> Any:
        """Ask something of a page; return what it answers."""
        id_ = next(self._ids)
        self._asked[id_] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": id_, "page": page, "call": call, "text": text})
        self._writer.write(f"{line}\n".encode())
        return await self.answer(id_)

    async def answer(self, id_: int = 0) -> Any:
        """Wait for an answer; that with the number 0 is that the browser runs."""
        return await asyncio.wait_for(self._asked[id_], _ANSWER_SECONDS)

    async def read(self) -> None:
        """Take answers until there are no more."""
        while line := await self._reader.readline():
            answer = json.loads(line)
            asked = self._asked.pop(answer["id"])
            if asked.done():
                continue
            if "error" in answer:
                asked.set_exception(FirefoxError(answer["error"]))
            else:
                asked.set_result(answer["value"])
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(FirefoxError("the browser has ended"))


class FirefoxPage:
    """One page, with those of Playwright's methods that tests of both browsers use."""

    def __init__(self, browser: Firefox, number: int) -> None:
        self._browser = browser
        self.number = number

    async def goto(self, url: str) -> None:
        """Open a URL, and wait until it is loaded."""
        await self._browser.call(self.number, "goto", url)

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, or what its promise is fulfilled with."""
        return await self._browser.call(self.number, "evaluate", expression)

    async def close(self) -> None:
        """Close the page, as a person does."""
        await self._browser.call(self.number, "close")


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[Firefox]:
    """Start Debian's Firefox, or say that it is lacking; ``folder`` is where :data:`PUPPETEER` is installed."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        lacking("there is no Firefox: install Debian's firefox-esr")
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(npm.running(_SCRIPT, folder, program))
        browser = Firefox(node.said, node.heard)
        reading = asyncio.create_task(browser.read())
        try:
            await browser.answer()
            yield browser
        finally:
            await stack.aclose()
            await reading
