"""The live page in a real browser."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Page, Route, expect

from integration.author import author_of
from integration.browser import opened
from integration.system import Process, System

PATIENCE_MS: Final = 30_000


async def _send_picture(route: Route) -> None:
    await route.fulfill(content_type="image/svg+xml", body='<svg xmlns="http://www.w3.org/2000/svg"/>')


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """Open an empty page."""
    async with opened() as page:
        page.set_default_timeout(PATIENCE_MS)
        # There is no such host; and whatever it would answer is not what is tested here.
        await page.route("https://images.example/**", _send_picture)
        yield page


async def test_the_page_shows_posts_and_resumes_by_itself_when_the_edge_comes_back(
    shared: System, owner: dict[str, str], extra_edge: Process, page: Page, tmp_path: Path
) -> None:
    """Newest first, without loss or repeats, and without an error but that the edge was away, or not ready yet."""
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    state, posts = page.locator("#state-text"), page.locator("#posts .post")

    async def shown() -> list[int]:
        return [int(id_) for id_ in await posts.evaluate_all("posts => posts.map(post => post.dataset.id)")]

    try:
        async with author_of(shared, owner) as author:
            await page.goto(f"http://127.0.0.1:{extra_edge.port}/")
            await expect(state).to_have_text("Live")
            # What there was before comes behind the welcome.
            await page.evaluate("new Promise((resolve) => setTimeout(resolve, 1000))")
            history = await shown()
            published = await author.publish(4)
            await expect(posts).to_have_count(len(history) + 4)
            assert await asyncio.to_thread(extra_edge.terminate) == 0
            await expect(state).not_to_have_text("Live")
            published += await author.publish(3)
            extra_edge.start()
            await expect(state).to_have_text("Live")
            published += await author.publish(2)
            await expect(posts).to_have_count(len(history) + 9)

            assert sorted(await shown()) == sorted(history + published)
            assert (await shown())[9:] == history
            newest = (await author.expected([(await shown())[0]]))[0]
            first = posts.first
            await expect(first.locator(".by .name")).to_have_text(newest["user"]["username"])
            await expect(first.locator("time")).to_have_attribute("datetime", newest["created_at"])
            await expect(first.locator(".pictures img")).to_have_count(len(newest["image_urls"]))
        # An edge that has just begun to listen, and has not reached Kafka yet, sends clients away with 503.
        # Where a WebSocket cannot be had the page tries to poll.
        nobody = "net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE)"
        away = re.compile(
            rf"^(WebSocket connection to .* failed: .*({nobody}|response code: 503)"
            rf"|Failed to load resource: .*({nobody}|status of (404|503).*))$"
        )
        assert [error for error in errors if not away.search(error)] == []
    except BaseException:
        picture = tmp_path / "page.png"
        await page.screenshot(path=picture)
        print(f"the page is in {picture}; its console said {errors}")
        raise
