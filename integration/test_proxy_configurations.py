"""The configurations of docs/proxies.md, as they stand there but for addresses and certificates."""

import asyncio
import json
import re
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import pytest
import trustme
import websockets
from multidict import CIMultiDictProxy
from playwright.async_api import expect

from integration import topics
from integration.bench.posts import FIRST_ID, feed_record
from integration.browser import started
from integration.child import Child
from integration.clients import PATIENCE_SECONDS, Client, WebsocketsClient
from integration.conftest import Install
from integration.ports import free_port
from integration.proxies import caddy, haproxy, nginx
from integration.system import Process, System
from tests.edge.kit.tokens import SECRET, signed

_PAGE: Final = Path(__file__).parents[1] / "docs/proxies.md"
_NAME: Final = "live.example.org"
_CLIENT: Final = "127.0.0.2"
"""Where clients come from: another address than a proxy's, which is trusted."""


class Site(NamedTuple):
    """A running proxy."""

    port: int
    context: ssl.SSLContext | None

    @property
    def origin(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    async def connect(self, query: str = "", *protocols: str) -> Client:
        """Connect as a client at another address."""
        return WebsocketsClient(
            await websockets.connect(
                f"ws{self.origin.removeprefix('http')}/{query}",
                ssl=self.context,
                subprotocols=[websockets.Subprotocol(name) for name in protocols] or None,
                max_size=None,
                local_addr=(_CLIENT, 0),
            )
        )


def block(language: str) -> str:
    """Return the page's block of a language; there is one of each."""
    [text] = re.findall(rf"^```{language}\n(.*?)^```$", _PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return str(text)


def replaced(text: str, **others: str) -> str:
    """Put in what differs here; each of it is there."""
    for old, new in others.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def certificate() -> Iterator[tuple[ssl.SSLContext, Path]]:
    """Make a certificate for loopback, in files that a proxy's account can read."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost", _NAME)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o755)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        (home / "chain.pem").write_bytes(chain)
        (home / "key.pem").write_bytes(issued.private_key_pem.bytes())
        (home / "both.pem").write_bytes(chain + issued.private_key_pem.bytes())
        yield context, home


class Edges(NamedTuple):
    """An installation with two edges that trust the proxies."""

    system: System
    both: tuple[Process, Process]
    ids: Iterator[int]

    @property
    def addresses(self) -> dict[str, str]:
        return {f"edge-{number}:8080": f"127.0.0.1:{edge.port}" for number, edge in enumerate(self.both, 1)}

    def peers(self) -> list[str]:
        """Return the addresses of all clients so far, as the edges know them."""
        return [event["peer"] for edge in self.both for event in edge.events("session.opened")]

    async def publish(self, count: int) -> list[int]:
        """Write a record with new posts to the feed; return their ids."""
        ids = [next(self.ids) for _ in range(count)]
        await topics.write(self.system.environment["KAFKA_URL"], self.system.feed, [feed_record(ids)])
        return ids


def _of_nginx(edges: Edges, port: int, folder: Path) -> str:
    return replaced(
        block("nginx"),
        **edges.addresses,
        **{
            "listen 443": f"listen 127.0.0.1:{port}",
            "/etc/ssl/live.example.org.pem": str(folder / "chain.pem"),
            "/etc/ssl/live.example.org.key": str(folder / "key.pem"),
            "/var/cache/nginx": "{home}",
        },
    )


def _of_haproxy(edges: Edges, port: int, folder: Path) -> str:
    addresses = {f" {old}": f" {new}" for old, new in edges.addresses.items()}
    others = {
        "bind :443": f"bind 127.0.0.1:{port}",
        "/etc/ssl/live.example.org.pem": str(folder / "both.pem"),
        "maxconn 50000": "maxconn 1000",  # as many files as any machine allows
    }
    return replaced(block("haproxy"), **addresses, **others)


def _of_caddy(edges: Edges, port: int, _: Path) -> str:
    # It asks an authority for a certificate of its site's name: here it has none, and no TLS.
    site = replaced(block("caddy"), **edges.addresses, **{f"{_NAME} {{": f"http://127.0.0.1:{port} {{"})
    return f"{{\n\tadmin off\n}}\n{site}"


_Run = Callable[..., AbstractContextManager[Child]]
_Configuration = Callable[[Edges, int, Path], str]
_PROXIES: Final[dict[str, tuple[_Run, _Configuration]]] = {
    "nginx": (nginx, _of_nginx),
    "haproxy": (haproxy, _of_haproxy),
    "caddy": (caddy, _of_caddy),
}


@pytest.fixture(scope="module")
def edges(install_for_module: Install) -> Edges:
    system = install_for_module(TRUSTED_PROXIES="127.0.0.1", JWT_SECRET_KEY=SECRET)
    asyncio.run(topics.create(system.environment["KAFKA_URL"], {system.feed: 1}))
    both = system.edge(), system.edge()
    for edge in both:
        edge.until_ready()
    return Edges(system, both, count(FIRST_ID))


@pytest.fixture(params=_PROXIES)
async def site(
    request: pytest.FixtureRequest, edges: Edges, certificate: tuple[ssl.SSLContext, Path]
) -> AsyncIterator[Site]:
    run, configuration = _PROXIES[request.param]
    context, folder = certificate
    port = free_port()
    with run(configuration(edges, port, folder), port=port):
        yield Site(port, None if request.param == "caddy" else context)


async def test_websockets_pass_and_the_edge_knows_whose_they_are(site: Site, edges: Edges) -> None:
    """The plain client's, compressed ones, and ones with cursors that resume."""
    known = edges.peers()
    plain, v1 = await site.connect(), await site.connect("", "postcast.v1")
    async with plain, v1:
        await v1.until_welcome()
        published = await edges.publish(2)
        for client in (plain, v1):
            await client.until_shown(2)
            await client.ping()
            assert client.ids == published
        resumed = await site.connect(f"?cursor={v1.cursor}")
        async with resumed:
            published = await edges.publish(1)
            await resumed.until_shown(1)
            assert resumed.welcome["recovered"] is True
            assert resumed.ids == published
    assert sorted(edges.peers())[len(known) :] == [_CLIENT] * 3


async def test_events_pass_as_they_come(site: Site, edges: Edges) -> None:
    """Each is passed on while the answer goes on: nothing waits for a full buffer."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_read=PATIENCE_SECONDS)) as session,
        session.get(f"{site.origin}/events", ssl=site.context or True) as answer,
    ):
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        lines = answer.content.iter_any()
        received = b""
        while b"event: welcome\n" not in received:
            received += await anext(lines)
        for _ in range(3):
            [post] = await edges.publish(1)
            while f'"id":{post},'.encode() not in received:
                received += await anext(lines)


async def test_events_pass_nginx_with_nothing_but_its_defaults(edges: Edges) -> None:
    """HTTP/1.0 to the edge, and buffers that the answer forbids."""
    port = free_port()
    server = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{edges.both[0].port}; }} }}"
    with nginx(server, port=port):
        await test_events_pass_as_they_come(Site(port, None), edges)


@asynccontextmanager
async def asking(site: Site) -> AsyncIterator[Callable[..., Awaitable[tuple[int, bytes, CIMultiDictProxy[str]]]]]:
    """Yield a function that asks the proxy for a path."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_SECONDS)) as session:

        async def ask(path: str, **headers: str) -> tuple[int, bytes, CIMultiDictProxy[str]]:
            async with session.get(f"{site.origin}{path}", ssl=site.context or True, headers=headers) as answer:
                return answer.status, await answer.read(), answer.headers

        yield ask


async def test_pages_of_posts_pass_and_long_polls_are_answered(site: Site, edges: Edges) -> None:
    async with asking(site) as ask:
        status, _, headers = await ask("/posts?offset=now")
        assert (status, headers["Stream-Up-To-Date"]) == (200, "true")
        path = f"/posts?offset={headers['Stream-Next-Offset']}&live=long-poll"
        polls = asyncio.gather(*(ask(path) for _ in range(3)))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sum(edge.metric("postcast_edge_page_polls") for edge in edges.both) < 3:
                await asyncio.sleep(0.05)
        [post] = await edges.publish(1)
        for status, body, _ in await polls:
            assert (status, [each["payload"]["id"] for each in json.loads(body)]) == (200, [post])


@pytest.mark.parametrize("site", ["nginx"], indirect=True)
async def test_a_full_page_is_asked_of_an_edge_once_and_one_for_a_token_never_kept(site: Site, edges: Edges) -> None:
    """In both orders: neither gets what was kept for the other."""

    def answered() -> float:
        return sum(edge.metric("postcast_edge_page_answers_total", status="200") for edge in edges.both)

    kafka_url = edges.system.environment["KAFKA_URL"]
    await topics.write(kafka_url, edges.system.feed, [feed_record([next(edges.ids)]) for _ in range(300)])
    async with asking(site) as ask:
        _, _, headers = await ask("/posts?offset=-1")
        full = f"/posts?offset={headers['Stream-Next-Offset']}"
        before = answered()
        _, first, headers = await ask(full)
        assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
        _, second, _ = await ask(full)
        assert second == first
        assert answered() == before + 1

        following = f"/posts?offset={headers['Stream-Next-Offset']}"
        for path in (full, following):
            for _ in range(2):
                before = answered()
                status, _, headers = await ask(path, Authorization=f"Bearer {signed({'sub': '7'})}")
                assert (status, headers["Cache-Control"]) == (200, "private, no-store")
                assert answered() == before + 1
        before = answered()
        _, _, headers = await ask(following)
        assert headers["Cache-Control"] != "private, no-store"
        assert answered() == before + 1


async def test_the_live_page_is_live(site: Site) -> None:
    """In a browser, over HTTP/2 where there is TLS, and its WebSocket however the browser and the proxy agree."""
    async with started() as browser:
        page = await browser.new_page(ignore_https_errors=True)
        await page.goto(f"{site.origin}/")
        await expect(page.locator("#state-text")).to_have_text("Live", timeout=30_000)
        protocols = await page.evaluate("performance.getEntriesByType('resource').map(each => each.nextHopProtocol)")
        # Of a request that is under way it is empty.
        assert set(protocols) - {""} == {"h2" if site.context else "http/1.1"}


@pytest.mark.parametrize("site", ["nginx", "haproxy"], indirect=True)
async def test_over_http2_a_page_has_more_than_six_streams_of_events(site: Site) -> None:
    """Over HTTP/1.1, as without TLS, the seventh would wait for ever."""
    async with started() as browser:
        page = await browser.new_page(ignore_https_errors=True)
        await page.goto(f"{site.origin}/")
        opened = await page.evaluate(
            """() => Promise.all(Array.from({length: 8}, () => new Promise((resolve, reject) => {
                const source = new EventSource("/events");
                source.onopen = () => resolve(source.readyState);
                source.onerror = () => reject(new Error("no stream"));
            })))"""
        )
        assert opened == [1] * 8


async def test_operators_pages_stay_inside(site: Site) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/livez", "/readyz", "/metrics"):
            async with session.get(f"{site.origin}{path}", ssl=site.context or True) as answer:
                assert answer.status == 404
        async with session.get(f"{site.origin}/status.json", ssl=site.context or True) as answer:
            assert answer.status == 200


async def test_clients_of_an_edge_that_is_gone_come_to_the_other(site: Site, edges: Edges) -> None:
    """The first one too, before the proxy has noticed."""
    gone, left = edges.both
    await asyncio.to_thread(gone.kill)
    try:
        known = len(left.events("session.opened"))
        clients = [await site.connect("", "postcast.v1") for _ in range(4)]
        for client in clients:
            await client.until_welcome()
        # A client sees its welcome before the log has been written.
        left.until(lambda: len(left.events("session.opened")) == known + 4, "has them all")
        for client in clients:
            await client.close()
    finally:
        gone.start()
        await asyncio.to_thread(gone.until_ready)
