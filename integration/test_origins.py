"""Pages of other origins in a real browser: those that may read an edge do, and the others do not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web
from playwright.async_api import Page, expect

from integration import topics
from integration.browser import opened
from integration.conftest import Install
from integration.ports import free_port
from integration.system import Process, System

# What a page finds out: what it reads, with a request that is simple and one that is not, and whether it is connected.
_TRY: Final = """async (host) => {
    const read = async (path, options) => {
        try {
            const answer = await fetch(`http://${host}${path}`, options);
            return [answer.status, answer.type, (await answer.text()).length > 0];
        } catch (error) {
            return error.name;
        }
    };
    const connected = (...protocols) => new Promise((resolve) => {
        const socket = new WebSocket(`ws://${host}/`, protocols);
        // A refusal comes behind the 101: only a welcome says that there was none.
        socket[protocols.length ? "onmessage" : "onopen"] = (event) => resolve(event.type);
        socket.onclose = (event) => resolve(event.code);
    });
    return {
        simple: await read("/status.json"),
        preflighted: await read("/status.json", {headers: {Authorization: "Bearer none", "X-Trace": "1"}}),
        refused: await read("/nothing"),
        events: await new Promise((resolve) => {
            const source = new EventSource(`http://${host}/events`);
            source.addEventListener("welcome", (event) => { source.close(); resolve(event.type); });
            source.onerror = () => resolve(source.readyState);
        }),
        opaque: await read("/status.json", {mode: "no-cors"}),
        connected: await connected(),
        connected_v1: await connected("postcast.v1"),
    };
}"""
_ALL: Final = {
    "simple": [200, "cors", True],
    "preflighted": [200, "cors", True],
    "refused": [404, "cors", True],
    "connected": "open",
    "connected_v1": "message",
    "events": "welcome",
}
_NONE: Final = {
    "simple": "TypeError",
    "preflighted": "TypeError",
    "refused": "TypeError",
    "events": 2,
    "connected_v1": 4503,
}


@asynccontextmanager
async def sites(*ports: int, link: str) -> AsyncIterator[None]:
    """Serve an almost empty page on each port of loopback."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=f'<!doctype html><a href="{link}">posts</a>', content_type="text/html")

    application = web.Application()
    application.add_routes([web.get("/", page)])
    runner = web.AppRunner(application)
    await runner.setup()
    for port in ports:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    yield
    await runner.cleanup()


async def found_out(page: Page, site: str, edge: Process) -> dict[str, Any]:
    await page.goto(site)
    result: dict[str, Any] = await page.evaluate(_TRY, f"127.0.0.1:{edge.port}")
    return result


async def ready_edge(system: System, **variables: Any) -> Process:
    await topics.create(system.environment["KAFKA_URL"], {system.feed: 1})
    edge = system.edge(**variables)
    await asyncio.to_thread(edge.until_ready)
    return edge


async def test_every_page_may_read_an_edge_that_has_no_list(install: Install) -> None:
    edge, port = await ready_edge(install()), free_port()
    async with sites(port, link=""), opened() as page:
        assert await found_out(page, f"http://localhost:{port}/", edge) == {**_ALL, "opaque": [0, "opaque", False]}


async def test_pages_of_listed_origins_may_read_an_edge_and_others_may_not(install: Install) -> None:
    """Another host of the same machine is another origin, as is another port; a link leads everybody to the page."""
    listed, other, port = free_port(), free_port(), free_port()
    origins = f"http://127.0.0.1:{listed},http://127.0.0.1:{port}"
    edge = await ready_edge(install(), EDGE_PORT=port, ALLOWED_ORIGINS=origins)
    own = f"http://127.0.0.1:{port}/"
    async with sites(listed, other, link=own), opened() as page:
        found = await found_out(page, f"http://127.0.0.1:{listed}/", edge)
        # Without CORS there is no Origin: what it is answered, 403, the page cannot see.
        assert found == {**_ALL, "opaque": [0, "opaque", False]}
        for site in (f"http://127.0.0.1:{other}/", f"http://localhost:{listed}/"):
            found = await found_out(page, site, edge)
            assert found == {**_NONE, "opaque": [0, "opaque", False], "connected": 1006}
        await asyncio.to_thread(edge.until, lambda: edge.connections() == 0, "has nobody")
        assert edge.metric("postcast_edge_http_answers_total", status="403") >= 8

        await page.get_by_text("posts").click()
        await expect(page).to_have_url(own)
        await expect(page.locator("#state-text")).to_have_text("Live")
