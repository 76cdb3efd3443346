"""A real browser for tests."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, Page, async_playwright, expect

from integration.conftest import lacking

_PATIENCE_MS: Final = 60_000
_ARGUMENTS: Final = (
    "--no-sandbox",  # as root, which a sandbox refuses
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def started() -> AsyncIterator[Browser]:
    """Start Debian's Chromium, or say that it is lacking."""
    # Debian's name for it, and that of the hosted runners' own build.
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        lacking("there is no browser: install Debian's chromium")
    async with async_playwright() as playwright:
        # No promise is bounded by the time that a page takes on a busy machine; the default is 5 s.
        expect.set_options(timeout=_PATIENCE_MS)
        browser = await playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        yield browser
        await browser.close()


@asynccontextmanager
async def opened() -> AsyncIterator[Page]:
    """Open an empty page in a browser of its own."""
    async with started() as browser:
        yield await browser.new_page()
