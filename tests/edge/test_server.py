"""The server with real clients on loopback: its routes, readiness and drain; only the feed is a double."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from edge.page import File, live_page
from tests.edge.kit.edge import serving
from tests.edge.kit.listening import RULES, gate
from tests.edge.kit.pair import connecting
from tests.edge.kit.refused import refusal


async def test_shutdown_says_goodbye_to_all() -> None:
    """1001 to everybody, and ready for nobody."""
    async with serving() as edge, edge.connect() as one, edge.connect("?history=0") as other:
        draining = asyncio.create_task(edge.server.drain(5))
        await asyncio.sleep(0)
        assert (await edge.get("/readyz"))[:2] == (503, "The server is shutting down.\n")
        await one.wait_closed()
        await other.wait_closed()
        assert (one.close_code, other.close_code) == (1001, 1001)
        await draining
        assert edge.closes == {("server", "1001"): 2}


async def test_is_unready_for_another_reason_than_the_feeds() -> None:
    """The feed's comes first, and that the edge stops before both."""
    async with serving() as edge:
        edge.unready = "Nobody can sign in yet."
        assert (await edge.get("/readyz"))[:2] == (503, "Nobody can sign in yet.\n")
        edge.feed.unready = "Kafka is away."
        assert (await edge.get("/readyz"))[:2] == (503, "Kafka is away.\n")
        edge.feed.unready = edge.unready = None
        assert (await edge.get("/readyz"))[0] == 200


async def test_a_drain_is_spread_and_whoever_is_still_there_gets_posts() -> None:
    """They come back elsewhere, and not all at once; the last ones are told in time."""
    async with serving() as edge, AsyncExitStack() as connected:
        clients = [await connected.enter_async_context(edge.connect()) for _ in range(100)]
        draining = asyncio.create_task(edge.server.drain(5))
        while edge.closes.total() < 10:
            await asyncio.sleep(0.001)
        edge.feed.publish(1)
        await draining
        got = [[message async for message in client] for client in clients]
        assert {client.close_code for client in clients} == {1001}
        assert {len(messages) for messages in got} == {0, 1}


async def test_a_drain_ends_in_its_time() -> None:
    """Whoever is still there then was told, and is cut off with the process."""
    async with serving() as edge, edge.connect() as client:
        await edge.server.drain(0)
        assert len(edge.hub) == 1
        await client.wait_closed()
        assert client.close_code == 1001


async def test_all_that_are_left_when_there_is_no_time_are_told() -> None:
    """And cut at once: the process ends."""
    async with serving() as edge, edge.connect() as client:
        await edge.server.drain(0)
        edge.hub.cut_some()
        await client.wait_closed()
        assert client.close_code == 1001
        assert (len(edge.hub), edge.closes) == (0, {("server", "1001"): 1})


async def test_answers_are_counted_by_status() -> None:
    """Whoever gives them: the routes, aiohttp, and what stands before it. What nobody gets is none."""
    rules = replace(RULES, head_bytes=512, handshake_seconds=0.05)
    async with serving(through=gate(rules)) as edge:
        for path in ("/", "/nothing", "/livez"):
            await edge.get(path)
        edge.feed.trouble = "It is away."
        assert (await refusal(edge))[0] == 503
        assert (await refusal(edge, "?history=x"))[0] == 400
        for request in (b"junk\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + bytes(600), b"GET / HTTP/1.1\r\n"):
            async with connecting(edge) as peer:
                await peer.send(request)
                await peer.read_all()
        before = {"200": 2, "404": 1, "503": 1, "400": 2, "431": 1, "408": 1}
        assert edge.gate.answers.counts == before
        # A request that was too large is not late, too.
        assert edge.gate.limited == {"head": 1, "handshake": 1}
        edge.feed.trouble = None
        async with edge.connect():
            pass
        assert edge.gate.answers.counts == before | {"101": 1}
        assert (edge.gate.takeovers, edge.gate.join_seconds.buckets[-1]) == (1, ("+Inf", 1.0))


@pytest.mark.parametrize(("path", "file"), live_page().items(), ids=live_page())
async def test_a_browser_gets_the_page(path: str, file: File) -> None:
    """File by file, with a policy that lets nothing run but the page itself; and the client, which any page may use."""
    async with serving() as edge:
        status, text, headers = await edge.get(path)
        assert (status, text, headers["Content-Type"]) == (200, file.body.decode(), f"{file.media_type}; charset=utf-8")
        assert {name: headers.get(name) for name in file.headers} == file.headers
        assert headers["Cache-Control"] == "no-cache"


async def test_a_browser_that_has_the_page_is_not_sent_it_again() -> None:
    async with serving() as edge:
        etag = (await edge.get("/"))[2]["ETag"]
        for known, status in ((f'"else", {etag}', 304), ('"else"', 200), ("*", 304)):
            answer, text, headers = await edge.get("/", {"If-None-Match": known})
            assert (answer, headers["ETag"], bool(text)) == (status, etag, status == 200)
        assert edge.gate.answers.counts == {"200": 2, "304": 2}


async def test_the_page_is_told_about_the_edge() -> None:
    async with serving() as edge, edge.connect():
        status, text, headers = await edge.get("/status.json")
        told = json.loads(text)
        assert (status, headers["Content-Type"], headers["Cache-Control"]) == (
            200,
            "application/json",
            "max-age=1",
        )
        assert abs(told.pop("time") - 1000 * time.time()) < 5000
        assert told == {
            "version": "0", "viewers": 1, "posts_per_second": 0.0, "window_seconds": 5.0, "compose_url": None
        }  # fmt: skip


async def test_there_is_nothing_beside_the_page() -> None:
    async with serving() as edge:
        assert [(await edge.get(path))[0] for path in ("/nothing", "/page/", "/page/page.html")] == [404, 404, 404]
