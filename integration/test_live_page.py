"""The live page in a real browser, with an edge that the test plays: what it shows, and what a person can do."""

import json
import os
import re
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, WebSocketRoute, expect

from integration.browser import started
from integration.mocks import mock
from integration.pretend_edge import COMPOSE_URL, WINDOW_SECONDS, PretendEdge

SIZES: Final = {"phone": (390, 844), "tablet": (820, 1180), "laptop": (1280, 800), "wide": (1680, 1050)}
WINDOW_MS: Final = 1000 * WINDOW_SECONDS
START: Final = "000000000000g000009fqgcrn9gi0a40"
GAPS: Final = {
    "invalid": "could not read the place",
    "expired": "longer than the edge remembers",
    "recreated": "made anew",
    "unknown": "does not know the place",
    "interrupted": "lost touch with the feed",
    "one that comes later": "interrupted",
}


# One browser for all: starting one takes longer than most of these tests.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with started() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Open an empty page; an error on its console, or in its scripts, fails the test."""
    errors: list[str] = []
    async with await browser.new_context() as context:
        page = await context.new_page()
        page.on(
            "console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
    assert errors == []


@pytest.fixture
def edge(page: Page) -> PretendEdge:
    return PretendEdge(page, COMPOSE_URL)


async def live(edge: PretendEdge) -> WebSocketRoute:
    """Open the page and welcome it."""
    socket = await edge.open()
    socket.send(edge.welcome(START))
    await expect(edge.page.locator("#state-text")).to_have_text("Live")
    return socket


async def settled(page: Page) -> None:
    """Wait until the page has no history any more to catch up with, and knows the window."""
    await expect(page.locator("#window")).to_be_visible()
    # By the page's own clock: its timer, which is due earlier, has run by then, however slow the page is.
    await page.evaluate("new Promise((resolve) => setTimeout(resolve, 500))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
async def test_it_fits_and_looks_like_this(edge: PretendEdge, size: str, scheme: str, tmp_path: Path) -> None:
    """Look at the pictures: POSTCAST_SCREENSHOTS names a folder for them."""
    page, (width, height) = edge.page, SIZES[size]
    await page.set_viewport_size({"width": width, "height": height})
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    socket = await live(edge)
    await expect(page.locator("#window")).to_be_visible()
    window = edge.window
    for back, posts in enumerate((3, 5, 4, 6, 2, 5)):
        for _ in range(posts):
            socket.send(edge.created(window - WINDOW_MS * (6 - back)))
    await settled(page)
    for _ in range(4):
        socket.send(edge.created(window))
    await page.wait_for_timeout(1000)
    folder = Path(os.environ.get("POSTCAST_SCREENSHOTS") or tmp_path)
    await page.screenshot(path=folder / f"page-{size}-{scheme}.png")
    assert await page.evaluate("document.documentElement.scrollWidth") == width
    assert await page.evaluate("document.documentElement.scrollHeight") > height


async def test_posts_stand_by_window_with_what_their_way_was_like(edge: PretendEdge) -> None:
    page, window = edge.page, edge.window
    socket = await edge.open()
    # At once: what comes a moment later is not what it has missed.
    for message in (edge.welcome(START), edge.created(window - WINDOW_MS), edge.created(window - WINDOW_MS)):
        socket.send(message)
    await expect(page.locator(".group .count")).to_have_text(["2 posts"])
    await expect(page.locator(".delay, .age")).to_have_count(0)
    end = datetime.fromtimestamp(window / 1000).astimezone().strftime("%H:%M:%S")
    await expect(page.locator(".divider time")).to_have_text(end)
    await settled(page)
    socket.send(edge.created(window, likes_count=1))
    await expect(page.locator(".group .count")).to_have_text(["1 post", "2 posts"])
    divider = await page.locator(".divider").first.inner_text()
    end = datetime.fromtimestamp((window + WINDOW_MS) / 1000).astimezone().strftime("%H:%M:%S")
    assert re.fullmatch(end + r"\s+1 post\s+on your screen \d+(\.\d)? s after the window", divider)
    newest = page.locator(".post").first
    await expect(newest.locator(".age")).to_have_text(re.compile(r"^\d+(\.\d)? s to your screen$"))
    await expect(newest.locator(".likes")).to_have_text("1 like")
    await expect(newest.locator("time")).to_have_text(re.compile(r"^\d+ s ago$"))


async def test_the_page_of_a_mock_is_of_the_feeds_time(page: Page, tmp_path: Path) -> None:
    """Its posts are of January 2026: ages, the rate and the columns are those of a feed that runs now."""
    async with mock("--window", "0.5", "--rate", "4") as ready:
        await page.goto(ready["url"])
        await expect(page.locator(".group .delay").first).to_have_text(
            re.compile(r"^on your screen \d+(\.\d)? s after the window$")
        )
        await expect(page.locator("#rate")).to_have_text("4.0", timeout=20_000)
        await expect(page.locator("#age")).to_have_text(re.compile(r"^\d+(\.\d)? s$"))
        await expect(page.locator(".divider time").first).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
        heights = await page.locator("#columns div").evaluate_all("all => all.map(each => each.offsetHeight)")
        assert sum(height > 0 for height in heights) > 2
        folder = Path(os.environ.get("POSTCAST_SCREENSHOTS") or tmp_path)
        await page.screenshot(path=folder / "page-mock.png")
        # Otherwise it says on its console that the mock has gone.
        await page.goto("about:blank")


async def test_no_figure_is_broken_over_lines(edge: PretendEdge) -> None:
    """Not even that of a post that was written long ago."""
    socket = await live(edge)
    await settled(edge.page)
    heights = "all => all.map(each => each.offsetHeight)"
    figures = edge.page.locator(".figures dd")
    before = await figures.evaluate_all(heights)
    socket.send(edge.created(edge.window, created_at="2024-01-01T00:00:00Z"))
    await expect(edge.page.locator("#age")).to_have_text(re.compile(" days$"))
    assert await figures.evaluate_all(heights) == before


async def test_the_bar_fills_until_the_window_closes(edge: PretendEdge) -> None:
    await live(edge)
    fill = edge.page.locator(".track .fill")
    await expect(edge.page.locator("#window-text")).to_have_text(re.compile(r"^closes in [0-5]\.\d s$"))
    seen = []
    for _ in range(70):
        seen.append(float(await fill.evaluate("bar => bar.style.getPropertyValue('--share')")))
        await edge.page.wait_for_timeout(100)
    # It steps back a little where the page learns the edge's clock better.
    # A busy machine may miss the moment at which a window ends, and not that the next one begins.
    falls = [(before, after) for before, after in pairwise(seen) if after < before - 0.1]
    assert falls, seen
    assert all(after < before - 0.5 for before, after in falls), seen


async def test_a_dropped_connection_resumes_with_its_cursor_and_tells_what_it_caught_up_with(edge: PretendEdge) -> None:
    socket = await live(edge)
    page, window = edge.page, edge.window
    socket.send(edge.created(window - WINDOW_MS))
    await settled(page)
    cursor = "cursor1001"
    await expect(page.locator("#cursor")).to_have_text(cursor)
    await page.get_by_role("button", name="Drop my connection").click()
    await expect(page.locator("#state")).to_have_text(re.compile(r"^Dropped\.Back in [1-8] snow$"))
    await page.get_by_role("button", name="now", exact=True).click()
    socket = await edge.connection()
    assert edge.requests[1].endswith(f"/?cursor={cursor}")
    socket.send(edge.welcome(cursor))
    for _ in range(6):
        socket.send(edge.created(window))
    note = page.locator(".note")
    await expect(note).to_have_text(re.compile(r"^Resumed at \d\d:\d\d:\d\d: 6 posts caught up, none twice\.$"))
    await expect(page.locator(".post")).to_have_count(7)


async def test_it_says_when_it_tries_again_and_comes_back_with_the_network(edge: PretendEdge) -> None:
    socket = await live(edge)
    page = edge.page
    edge.is_away = True
    await socket.close(code=1012)
    for _ in range(3):
        attempts = len(edge.requests)
        await expect(page.locator("#state")).to_have_text(re.compile(r"^Not connected\.Trying again in \d+ snow$"))
        await page.get_by_role("button", name="now", exact=True).click()
        await expect(page.locator("#now")).to_be_visible()
        assert len(edge.requests) > attempts
    asked = edge.asked
    await page.wait_for_timeout(6000)
    assert edge.asked == asked
    edge.is_away = False
    await page.evaluate("dispatchEvent(new Event('online'))")
    (await edge.connection()).send(edge.welcome(START))
    await expect(page.locator("#state-text")).to_have_text("Live")
    await expect(page.locator(".note")).to_have_text(re.compile(": nothing was missed.$"))


async def test_that_the_network_goes_or_comes_is_no_catching_up(edge: PretendEdge) -> None:
    socket = await live(edge)
    page = edge.page
    await settled(page)
    for event in ("offline", "online"):
        await page.evaluate(f"dispatchEvent(new Event('{event}'))")
        await settled(page)
    await expect(page.locator(".note")).to_have_count(0)
    # During one it does not begin anew: what was counted stays.
    await socket.close(code=1001)
    socket = await edge.connection()
    socket.send(edge.welcome(START))
    socket.send(edge.created(edge.window - WINDOW_MS))
    socket.send(edge.created(edge.window - WINDOW_MS))
    await expect(page.locator(".post")).to_have_count(2)
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(page.locator(".note")).to_have_text(re.compile(": 2 posts caught up, none twice\\.$"))


async def test_offline_is_said_and_taken_back_while_it_waits(edge: PretendEdge) -> None:
    socket = await live(edge)
    page = edge.page
    edge.is_away = True
    await socket.close(code=1013, reason="retry_after=60")
    await expect(page.locator("#state-text")).to_have_text("Not connected.")
    await page.context.set_offline(True)
    await expect(page.locator("#state-text")).to_have_text("You are offline.")
    await page.context.set_offline(False)
    await expect(page.locator("#state-text")).to_have_text("Not connected.")


@pytest.mark.parametrize("code", [1002, 1008, 1009, 4500, 4999])
async def test_it_does_not_come_back_after_a_code_that_forbids_it(edge: PretendEdge, code: int) -> None:
    socket = await live(edge)
    await socket.close(code=code, reason="too many messages a second")
    await expect(edge.page.locator("#state-text")).to_have_text("Closed by the server: too many messages a second")
    await edge.page.evaluate("dispatchEvent(new Event('online'))")
    await edge.page.wait_for_timeout(300)
    assert len(edge.requests) == 1


async def test_what_it_does_not_know_moves_no_cursor_unless_it_has_one(edge: PretendEdge) -> None:
    socket = await live(edge)
    cursor = edge.page.locator("#cursor")
    await expect(cursor).to_have_text(START)
    for message in ({"action": "acked", "payload": {}}, {"action": "later"}, {"action": "later", "cursor": None}):
        socket.send(json.dumps(message))
    socket.send(edge.created(edge.window, description="last"))
    await expect(edge.page.locator(".post .text")).to_have_text("last")
    socket.send(json.dumps({"action": "heartbeat", "payload": {}, "cursor": "cursor9"}))
    await socket.close(code=1001)
    await edge.connection()
    assert edge.requests[1].endswith("?cursor=cursor9")


@pytest.mark.parametrize(("reason", "words"), GAPS.items(), ids=GAPS)
async def test_a_gap_is_told_in_words_for_people(edge: PretendEdge, reason: str, words: str) -> None:
    socket = await live(edge)
    socket.send(edge.welcome("cursor7", recovered=False, reason=reason))
    note = edge.page.locator(".note.gap")
    await expect(note).to_contain_text(words)
    await expect(note).to_contain_text("Posts may be missing here.")
    socket.send(edge.created(edge.window))
    await expect(edge.page.locator("#posts > *").first).to_have_class("group")


async def test_while_it_is_paused_posts_wait_and_the_title_counts_them(edge: PretendEdge) -> None:
    socket = await live(edge)
    page = edge.page
    await settled(page)
    await page.get_by_role("button", name="Pause").click()
    socket.send(edge.created(edge.window))
    socket.send(edge.created(edge.window))
    await expect(page).to_have_title("(2) Postcast")
    await expect(page.locator(".post")).to_have_count(0)
    await page.get_by_role("button", name="Go on (2 new)").click()
    await expect(page.locator(".post")).to_have_count(2)
    await expect(page).to_have_title("Postcast")


async def test_a_gap_while_it_is_paused_is_told_in_its_place_when_the_page_goes_on(edge: PretendEdge) -> None:
    socket = await live(edge)
    page = edge.page
    await settled(page)
    shown = page.locator("#posts > .group, #posts > .note")
    await page.get_by_role("button", name="Pause").click()
    socket.send(edge.created(edge.window, description="before"))
    socket.send(edge.welcome("cursor7", recovered=False, reason="interrupted"))
    socket.send(edge.created(edge.window, description="behind"))
    await expect(page).to_have_title("(2) Postcast")
    await expect(shown).to_have_count(0)
    await page.get_by_role("button", name="Go on (2 new)").click()
    await expect(shown).to_have_class(["group", "note gap", "group"])
    await expect(page.locator(".text")).to_have_text(["behind", "before"])


async def test_posts_that_wait_give_way_to_newer_ones_and_a_gap_does_not(edge: PretendEdge) -> None:
    socket = await live(edge)
    page, window = edge.page, edge.window
    await settled(page)
    await page.get_by_role("button", name="Pause").click()
    socket.send(edge.created(window, description="before"))
    socket.send(edge.welcome("cursor7", recovered=False, reason="interrupted"))
    for _ in range(200):
        socket.send(edge.created(window, description="behind"))
    await page.get_by_role("button", name="Go on (200 new)").click()
    await expect(page.locator("#posts > .group, #posts > .note")).to_have_class(["group", "note gap"])
    await expect(page.locator(".text", has_text="before")).to_have_count(0)


async def test_a_reader_who_has_scrolled_stays_there_and_is_told_what_is_new(edge: PretendEdge) -> None:
    socket = await live(edge)
    page = edge.page
    for _ in range(20):
        socket.send(edge.created(edge.window - WINDOW_MS, image_urls=[]))
    await settled(page)
    await page.evaluate("scrollTo(0, 600)")
    post = page.locator(".post").nth(12)
    before = await post.bounding_box()
    socket.send(edge.created(edge.window))
    button = page.get_by_role("button", name="1 new post")
    await expect(button).to_be_visible()
    after = await page.locator(".post").nth(13).bounding_box()
    assert before is not None
    assert after is not None
    assert after["y"] == pytest.approx(before["y"], abs=2)
    await button.click()
    await expect(button).to_be_hidden()
    await expect(page).to_have_title("Postcast")


async def test_a_screen_reader_is_told_how_many_posts_are_new_and_not_each(edge: PretendEdge) -> None:
    socket = await live(edge)
    page = edge.page
    await settled(page)
    for _ in range(5):
        socket.send(edge.created(edge.window))
    await expect(page.locator("#announcer")).to_have_text(re.compile("^[1-5] new posts?$"))
    assert await page.locator("main [aria-live], main [role=status], main [role=log]").count() == 0


async def test_everything_can_be_done_with_the_keyboard(edge: PretendEdge) -> None:
    await live(edge)
    page = edge.page
    await settled(page)
    names = []
    for _ in range(7):
        await page.keyboard.press("Tab")
        names.append(await page.evaluate("document.activeElement.id || document.activeElement.innerText.trim()"))
    assert names == ["Skip to the posts", "drop", "pause", "cursor", "text", "picture", "Publish"]


async def test_a_key_without_a_base_url_is_not_shown_and_nothing_of_a_post_is_markup(edge: PretendEdge) -> None:
    socket = await live(edge)
    text = "<img src=x onerror=alert(1)> & <b>bold</b>"
    socket.send(
        edge.created(edge.window, description=text, image_urls=["posts/1.jpg", "javascript:alert(1)", "data:,"])
    )
    post = edge.page.locator(".post")
    await expect(post.locator(".text")).to_have_text(text)
    await expect(post.locator("img, b, .pictures")).to_have_count(0)
    await expect(edge.page.get_by_text("posts/1.jpg")).to_have_count(0)


async def test_a_post_that_is_written_here_is_published_and_told_when_it_is_shown(edge: PretendEdge) -> None:
    socket = await live(edge)
    page = edge.page
    await page.get_by_label("Publish a post").fill("Hello from a test")
    await page.keyboard.press("Control+Enter")
    published = page.locator("#published")
    await expect(published).to_have_text("Post 1001 is written and announced. It is shown when its window closes.")
    assert edge.published == [{"text": "Hello from a test", "picture": True}]
    socket.send(edge.created(edge.window, description="Hello from a test"))
    await expect(published).to_have_text(re.compile(r"^Post 1001 was shown to everyone \d+(\.\d)? s after you"))
    await expect(page.locator(".post.own .text")).to_have_text("Hello from a test")


async def test_the_pages_policy_lets_the_client_share_tabs(edge: PretendEdge) -> None:
    """It evaluates nothing, and needs no worker: a strict policy has only to name the edge."""
    socket = await live(edge)
    await edge.page.evaluate(
        """import("/client.js").then(({ connect }) => {
             globalThis.feed = connect("/", { shareTabs: true });
             globalThis.shown = [];
             feed.addEventListener("post", ({ detail }) => shown.push(String(detail.post.id)));
           })"""
    )
    shared = await edge.connection()
    shared.send(edge.welcome(START))
    shared.send(json.dumps({"action": "created", "payload": {"id": 2**63 - 1}, "cursor": "c1"}))
    await edge.page.wait_for_function("shown.length")
    assert await edge.page.evaluate("shown") == [str(2**63 - 1)]
    assert socket is not shared


async def test_ids_that_a_number_cannot_hold_are_shown_to_the_digit(edge: PretendEdge) -> None:
    socket = await live(edge)
    for last in (5, 7):
        id_ = 2**63 - last
        socket.send(edge.created(edge.window, id=id_, user={"id": id_, "username": f"the last but {last}"}))
    posts = edge.page.locator(".post")
    await expect(posts.locator(".name")).to_have_text(["the last but 7", "the last but 5"])
    assert await posts.evaluate_all("posts => posts.map(post => post.dataset.id)") == [str(2**63 - 7), str(2**63 - 5)]


async def test_without_a_place_to_send_it_there_is_no_form(page: Page) -> None:
    edge = PretendEdge(page, "")
    await live(edge)
    await settled(page)
    await expect(page.locator("#composer")).to_be_hidden()
