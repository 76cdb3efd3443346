"""What browsers are told by every answer, and which pages get none."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDictProxy
from websockets.frames import Frame, Opcode

from edge.access.origins import Origins
from edge.access.rules import Rules
from edge.clients.cross_origin import OPEN, guard, telling
from tests.edge.kit.edge import Edge, serving
from tests.edge.kit.listening import RULES, gate, listening
from tests.edge.kit.pair import connecting
from tests.strict import Handshake

HOME = "https://www.example.org"
EVIL = "https://evil.example"
LISTED = Origins(frozenset({HOME}))
EXPOSED = "Stream-Next-Offset, Stream-Up-To-Date, Stream-Cursor, ETag, Retry-After"
PATHS = ["/", "/status.json", "/page/script.js", "/livez", "/metrics", "/nothing"]


@asynccontextmanager
async def listed(rules: Rules = RULES, total: int = 100) -> AsyncIterator[Edge]:
    async with serving(through=gate(rules, total=total, origins=LISTED)) as edge:
        yield edge


async def ask(edge: Edge, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str, CIMultiDictProxy[str]]:
    url = f"http://127.0.0.1:{edge.port}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers) as answer:
        return answer.status, await answer.text(), answer.headers


def told(headers: Mapping[str, str]) -> dict[str, str]:
    names = ("Access-Control-", "Vary")
    return {name: value for name, value in headers.items() if name.startswith(names)}


ALL = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED}
NAMED = {"Vary": "Origin", "Access-Control-Allow-Origin": HOME, "Access-Control-Expose-Headers": EXPOSED}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, *",
    "Access-Control-Max-Age": "86400",
}


@pytest.mark.parametrize("path", PATHS)
async def test_unless_origins_are_listed_every_answer_is_for_all_pages(path: str) -> None:
    async with serving() as edge:
        for headers in ({}, {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}):
            for method, status in (("GET", 200), ("HEAD", 200), ("POST", 405)):
                answered, _, answer = await ask(edge, method, path, headers)
                assert answered == (404 if path == "/nothing" else status)
                assert told(answer) == ALL


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_of_a_listed_origin_gets_answers_and_another_none(path: str) -> None:
    async with listed() as edge:
        for method, status in (("GET", 200), ("HEAD", 200), ("POST", 405)):
            answered, _, answer = await ask(edge, method, path, {"Origin": HOME})
            assert (answered, told(answer)) == (404 if path == "/nothing" else status, NAMED)
            answered, text, answer = await ask(edge, method, path, {"Origin": EVIL})
            assert (answered, told(answer)) == (403, {"Vary": "Origin"})
            assert text == ("" if method == "HEAD" else "Pages of your origin may not read this server.\n")
        answered, _, answer = await ask(edge, "GET", path, {})
        assert (answered, told(answer)) == (404 if path == "/nothing" else 200, {"Vary": "Origin"})
        for site in ("cross-site", "same-site"):
            assert (await ask(edge, "GET", path, {"Sec-Fetch-Site": site}))[0] == 403
        assert edge.gate.answers.counts["403"] == 5
        assert edge.around.refusals == {("http", "origin"): 5}


@pytest.mark.parametrize("path", [*PATHS, "/client.js"])
async def test_a_preflight_is_answered_for_a_day(path: str) -> None:
    preflight = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    async with serving() as edge:
        status, text, headers = await ask(edge, "OPTIONS", path, {"Origin": EVIL, **preflight})
        assert (status, text, told(headers)) == (204, "", {**ALL, **PREFLIGHT})
    async with listed() as edge:
        status, _, headers = await ask(edge, "OPTIONS", path, {"Origin": HOME, **preflight})
        assert (status, told(headers)) == (204, {**(ALL if path == "/client.js" else NAMED), **PREFLIGHT})
        assert edge.gate.answers.counts["204"] == 1
        status, _, headers = await ask(edge, "OPTIONS", path, {"Origin": EVIL, **preflight})
        assert status == (204 if path == "/client.js" else 403)


@pytest.mark.parametrize("path", PATHS)
async def test_no_answer_sets_a_cookie_and_none_changes_an_answer(path: str) -> None:
    """What a browser adds to a request by itself tells the edge nothing, so a foreign page gains nothing by it."""
    varying = {"Date", "ETag"} if path == "/metrics" else {"Date"}

    def same(headers: CIMultiDictProxy[str]) -> dict[str, str]:
        return {name: value for name, value in headers.items() if name not in varying}

    async with serving() as edge:
        status, _, bare = await ask(edge, "GET", path, {})
        answered, _, told = await ask(edge, "GET", path, {"Cookie": "session=1; access_token_cookie=2"})
        assert (answered, same(told).keys()) == (status, same(bare).keys())
        assert "Set-Cookie" not in told


@pytest.mark.parametrize("path", ["/client.js", "/client-tabs.js", "/client.d.ts"])
async def test_the_client_library_is_for_all_origins(path: str) -> None:
    """Whatever they may read; a page that may read nothing can load it all the same."""
    assert path in OPEN
    async with listed() as edge:
        for headers in ({"Origin": EVIL}, {"Sec-Fetch-Site": "cross-site"}, {}):
            status, _, answer = await ask(edge, "GET", path, headers)
            assert status == 200
            assert len(answer.getall("Access-Control-Allow-Origin")) == 1
            assert told(answer) == ALL


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": HOME}, 101),
        ({}, 101),
        ({"Sec-Fetch-Site": "same-origin"}, 101),
        ({"Origin": EVIL}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
async def test_a_websocket_is_for_the_same_pages(headers: dict[str, str], status: int) -> None:
    async with listed() as edge, connecting(edge) as peer:
        await peer.send(upgrade("/", headers))
        head = await peer.read_head()
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert edge.gate.census.connections == 1
        if status == 403:
            assert b"\r\nVary: Origin\r\n" in head
            assert len(edge.hub) == 0


@pytest.mark.parametrize(
    ("query", "origin", "why", "code", "reason"),
    [
        ("", EVIL, "origin", 4503, "Pages of your origin may not read this server."),
        (f"?author={'1' * 8190}", HOME, "request", 4500, "The URL has more than 8190 bytes."),
    ],
)
async def test_a_client_that_can_read_it_is_refused_on_its_websocket(
    query: str, origin: str, why: str, code: int, reason: str
) -> None:
    """A page sees nothing else of a refused WebSocket, and would come back for ever."""
    async with listed() as edge, connecting(edge) as peer:
        await peer.send(upgrade(f"/{query}", {"Origin": origin, "Sec-WebSocket-Protocol": "postcast.v1"}))
        assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")
        close = Frame(Opcode.CLOSE, code.to_bytes(2, "big") + reason.encode())
        assert await peer.read_all() == close.serialize(mask=False)
        assert edge.around.refusals == {("websocket", why): 1}
        assert len(edge.hub) == 0


async def test_unless_origins_are_listed_a_websocket_is_for_all_pages() -> None:
    async with serving() as edge, connecting(edge) as peer:
        await peer.send(upgrade("/", {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}))
        assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")


async def test_asking_for_a_websocket_where_there_is_none_is_no_way_round() -> None:
    async with listed() as edge, connecting(edge) as peer:
        await peer.send(upgrade("/status.json", {"Origin": EVIL}))
        assert (await peer.read_head()).startswith(b"HTTP/1.1 403 ")


def upgrade(path: str, headers: Mapping[str, str]) -> bytes:
    request = Handshake().request.replace(b"GET / ", f"GET {path} ".encode())
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return request.removesuffix(b"\r\n") + lines.encode() + b"\r\n"


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (upgrade("/?cursor=a&history=1", {"Origin": HOME}), 400),
        (upgrade("/", {"Origin": HOME, "X": "y" * 900}), 431),
        (HEAD + b"A B: c\r\n\r\n", 400),
        (b"GET /?\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (HEAD, 408),
    ],
)
async def test_refusals_carry_the_headers_also_of_what_could_not_be_read(request_bytes: bytes, status: int) -> None:
    """Where the origin is not known yet, a list names none."""
    rules = replace(RULES, head_bytes=900, handshake_seconds=0.1)
    async with serving(through=gate(rules)) as edge, connecting(edge) as peer:
        await peer.send(request_bytes)
        head = await peer.read_head()
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert b"\r\nAccess-Control-Allow-Origin: *\r\n" in head
    async with listed(rules) as edge, connecting(edge) as peer:
        await peer.send(request_bytes)
        head = await peer.read_head()
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert b"\r\nVary: Origin\r\n" in head
        assert (f"\r\nAccess-Control-Allow-Origin: {HOME}\r\n".encode() in head) is (b"cursor" in request_bytes)


@pytest.mark.parametrize("path", ["/", "/status.json", "/events", "/posts", "/nothing"])
async def test_a_url_may_have_8190_bytes(path: str) -> None:
    """One more is 414, which a page can read: a list of authors may be as long as that."""
    long = f"{path}?author=1,{'2' * 8190}"[:8190]
    async with listed() as edge:
        assert (await ask(edge, "HEAD", long, {"Origin": HOME}))[0] in {200, 400, 404}
        status, text, headers = await ask(edge, "GET", f"{long}2", {"Origin": HOME})
        assert (status, text) == (414, "The URL has more than 8190 bytes.\n")
        assert (told(headers), headers["Cache-Control"]) == (NAMED, "no-store")
        async with connecting(edge) as peer:
            await peer.send(upgrade(f"{long}2", {"Origin": HOME}))
            assert (await peer.read_head()).startswith(b"HTTP/1.1 414 ")
        assert edge.gate.answers.counts["414"] == 2
        assert edge.around.refusals == {("http", "request"): 2}


async def test_a_page_can_read_that_the_edge_is_full() -> None:
    async with listed(total=1) as edge, connecting(edge) as first, connecting(edge) as second:
        await first.send(upgrade("/", {"Origin": HOME}))
        assert (await first.read_head()).startswith(b"HTTP/1.1 101 ")
        await second.send(upgrade("/", {"Origin": HOME}))
        head = await second.read_head()
        assert head.startswith(b"HTTP/1.1 503 ")
        assert f"\r\nAccess-Control-Allow-Origin: {HOME}\r\n".encode() in head


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 200), ("?offset=-1", 200), ("?offset=now", 200), ("?offset=none", 400), ("?live=sse", 400)],
)
async def test_pages_of_posts_are_for_the_same_pages(query: str, status: int) -> None:
    """And vary by what they varied by, too."""
    async with serving() as edge:
        edge.feed.publish(1)
        answered, _, headers = await ask(edge, "GET", f"/posts{query}", {"Origin": EVIL})
        assert (answered, {**told(headers), "Vary": ""}) == (status, {**ALL, "Vary": ""})
    async with listed() as edge:
        edge.feed.publish(1)
        answered, _, headers = await ask(edge, "GET", f"/posts{query}", {"Origin": HOME})
        assert answered == status
        assert {**told(headers), "Vary": "Origin"} == NAMED
        assert "Origin" in headers.getall("Vary")
        answered, text, headers = await ask(edge, "GET", f"/posts{query}", {"Origin": EVIL})
        assert (answered, text) == (403, "Pages of your origin may not read this server.\n")
        assert headers["Cache-Control"] == "no-store"


async def test_a_stream_of_events_is_for_the_same_pages() -> None:
    """Its head is written by the edge itself."""
    async with serving() as edge, connecting(edge) as peer:
        await peer.send(b"GET /events HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n\r\n")
        head = await peer.read_head()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: " in head
    async with listed() as edge:
        for origin, status, told_origin in ((HOME, 200, True), (EVIL, 403, False)):
            async with connecting(edge) as peer:
                await peer.send(f"GET /events HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n\r\n".encode())
                head = await peer.read_head()
                assert head.startswith(b"HTTP/1.1 %d " % status)
                assert b"\r\nVary: Origin\r\n" in head
                assert (f"\r\nAccess-Control-Allow-Origin: {HOME}\r\n".encode() in head) is told_origin


async def test_what_an_answer_varies_by_already_stays() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(headers={"Vary": "Accept"})

    application = web.Application(middlewares=(guard(LISTED, Counter()),))
    application.on_response_prepare.append(telling(LISTED))
    application.add_routes([web.get("/", answer)])
    async with (
        listening(application) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/") as got,
    ):
        assert got.headers.getall("Vary") == ["Accept", "Origin"]
