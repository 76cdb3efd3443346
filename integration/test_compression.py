"""Compression as real clients read it: each library's own inflater, on posts that it gets from any position on.

The feed is written by the tests themselves, as a worker would. Bytes are counted on the wire, by a relay.
"""

import asyncio
import json
import random
import re
import uuid
import zlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Page

from edge.wire.messages import message
from integration import browser, clients, npm, topics, viewers
from integration.bench.usage import serving
from integration.clients import PATIENCE_SECONDS
from integration.conftest import Install
from integration.relay import Relay, relaying
from integration.system import Process, System
from streams.contract import FeedRecord, Millis, Post, PostId, Publication, User, encode_feed, encode_post, publication

ANSWER: Final = b"\r\nSec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"
HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
_SCRIPT: Final = Path(__file__).with_name("ws_client.cjs")

_ids = count(1)
_chance = random.Random(4)  # noqa: S311 - any posts will do
_WORDS: Final = (Path(__file__).parents[1] / "docs/architecture.md").read_text("utf-8").split()


@pytest.fixture(scope="module")
def system(install_for_module: Install) -> System:
    """Have an edge, and a feed that no worker writes."""
    system = install_for_module()
    asyncio.run(topics.create(system.environment["KAFKA_URL"], {system.feed: 1}))
    system.edge().until_ready()
    return system


@pytest.fixture
def edge(system: System) -> Process:
    """Name the edge."""
    return system.processes[0]


def written(text: str = "") -> Publication:
    """Write a post as people do, in words that come again in others; or with this text."""
    id_ = PostId(next(_ids))
    author = User(_chance.randrange(1, 10**5), _chance.choice(_WORDS))
    post = Post(
        id=id_,
        description=text or " ".join(_chance.choices(_WORDS, k=25)),
        created_at=f"2026-01-02T03:04:{id_ % 60:02}.{_chance.randrange(1, 10**6):06}Z",
        user=author,
        is_liked=False,
        image_urls=[f"https://images.example/posts/{uuid.UUID(int=_chance.getrandbits(128))}.jpg"],
        likes_count=_chance.randrange(5),
    )
    return publication(id_, encode_post(post), author.id)


async def show(system: System, *windows: Sequence[Publication]) -> list[str]:
    """Write windows to the feed; return the messages that a plain client gets."""
    records = [encode_feed(FeedRecord(window=Millis(0), publications=list(posts))) for posts in windows]
    await topics.write(system.environment["KAFKA_URL"], system.feed, records)
    return [message(post).decode() for posts in windows for post in posts]


class Reader(ABC):
    """What a client has got so far; each kind of client is read in its own way."""

    @abstractmethod
    async def until(self, number: int) -> list[str]:
        """Return all messages once there are so many."""


class LibraryReader(Reader):
    """A client in this process."""

    def __init__(self, client: clients.Client) -> None:
        self.client = client

    async def until(self, number: int) -> list[str]:
        """See :class:`Reader`."""
        await self.client.until(lambda: len(self.client.raw) >= number, f"{number} messages")
        return self.client.raw


class BrowserReader(Reader):
    """A page's WebSocket."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def until(self, number: int) -> list[str]:
        """See :class:`Reader`."""
        enough = "number => window.texts.length >= number"
        await self._page.wait_for_function(enough, arg=number, timeout=PATIENCE_SECONDS * 1000)
        texts: list[str] = await self._page.evaluate("window.texts")
        return texts


class NodeReader(Reader):
    """A program of Node's that prints what it gets."""

    def __init__(self, lines: asyncio.StreamReader) -> None:
        self._lines = lines
        self._texts: list[str] = []

    async def next(self) -> str:
        """Return the next thing that it prints."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            text: str = json.loads(await self._lines.readline())
            return text

    async def until(self, number: int) -> list[str]:
        """See :class:`Reader`."""
        while len(self._texts) < number:
            self._texts.append(await self.next())
        return self._texts


@asynccontextmanager
async def in_library(library: str, url: str) -> AsyncIterator[Reader]:
    """Connect with a library of Python's."""
    async with await clients.connect(url, library=library, compressed=True) as client:
        yield LibraryReader(client)


@asynccontextmanager
async def in_browser(url: str) -> AsyncIterator[Reader]:
    """Connect in Chromium."""
    async with browser.opened() as page:
        await page.evaluate(
            """url => new Promise((opened, failed) => {
                window.texts = [];
                const socket = new WebSocket(url);
                socket.onmessage = event => window.texts.push(event.data);
                socket.onopen = opened;
                socket.onerror = failed;
            })""",
            url,
        )
        yield BrowserReader(page)


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install Node's ws into a folder of the test's."""
    return npm.install(tmp_path_factory.mktemp("ws"), viewers.WS)


@asynccontextmanager
async def in_node(folder: Path, url: str) -> AsyncIterator[Reader]:
    """Connect with Node's ws."""
    async with npm.running(_SCRIPT, folder, url) as node:
        reader = NodeReader(node.said)
        assert await reader.next() == "permessage-deflate"
        yield reader


KINDS: Final = ("websockets", "aiohttp", "chromium", "ws")


class Audience:
    """Clients of one kind, each behind a relay of its own."""

    def __init__(self, kind: str, edge: Process, request: pytest.FixtureRequest) -> None:
        self._kind = kind
        self._edge = edge
        self._request = request

    @asynccontextmanager
    async def joined(self, query: str = "") -> AsyncIterator[tuple[Reader, Relay]]:
        """Have one client more; compression was agreed with it."""
        async with relaying(self._edge.port) as relay:
            url = f"ws://127.0.0.1:{relay.port}/{query}"
            match self._kind:
                case "chromium":
                    client = in_browser(url)
                case "ws":
                    client = in_node(self._request.getfixturevalue("node_modules"), url)
                case library:
                    client = in_library(library, url)
            async with client as reader:
                assert ANSWER in relay.head
                yield reader, relay


@pytest.fixture(params=KINDS)
def audience(request: pytest.FixtureRequest, edge: Process) -> Audience:
    """Clients of each kind."""
    return Audience(request.param, edge, request)


@asynccontextmanager
async def plain(edge: Process) -> AsyncIterator[tuple[clients.Client, Relay]]:
    """Have a client with which nothing was agreed."""
    async with (
        relaying(edge.port) as relay,
        await clients.connect(f"ws://127.0.0.1:{relay.port}/", compressed=False) as client,
    ):
        assert b"Extensions" not in relay.head
        yield client, relay


async def test_every_window_of_five_posts_or_more_takes_half_the_bytes(
    system: System, edge: Process, audience: Audience
) -> None:
    """What is shown is the same; a window of one post is never more than plain."""
    async with plain(edge) as (client, wide), audience.joined() as (reader, narrow):
        shown: list[str] = []
        for number, part in ((1, 1.0), (5, 0.52), (10, 0.52), (50, 0.52), (600, 0.52), (1, 1.0), (5, 0.52)):
            before = (wide.received, narrow.received)
            shown += await show(system, [written() for _ in range(number)])
            await client.until_shown(len(shown))
            assert await reader.until(len(shown)) == shown
            assert narrow.received - before[1] <= part * (wide.received - before[0])
        assert client.raw == shown


async def test_whoever_joins_anywhere_reads_every_post(system: System, edge: Process, audience: Audience) -> None:
    """At the feed's end, in the middle of a window by a history, by a cursor; each goes on with all others."""
    async with plain(edge) as (client, _), audience.joined() as (first, _):
        shown = await show(system, [written() for _ in range(50)], [written() for _ in range(5)])
        await client.until_shown(len(shown))
        async with audience.joined("?history=30") as (second, relay):
            earlier = relay.received
            shown += await show(system, [written() for _ in range(400)], [written()])
            # A welcome first, and "caught_up" behind what was there.
            welcome, *rest = _without_caught_up(await second.until(1 + 30 + 1 + 401))
            assert [one["payload"] for one in rest] == payloads(shown[25:])
            assert relay.received - earlier < 0.52 * sum(map(len, shown[55:]))
            assert welcome["payload"]["recovered"] is True
            # The 100th post of the 400: in the middle of a stream, and of a record.
            async with audience.joined(f"?cursor={rest[30 + 100]['cursor']}") as (third, _):
                shown += await show(system, [written() for _ in range(20)])
                _, *resumed = _without_caught_up(await third.until(1 + 300 + 1 + 20))
                assert [one["payload"] for one in resumed] == payloads(shown[25 + 131 :])
            await second.until(1 + 30 + 1 + 421)
        assert await first.until(len(shown)) == shown


def _without_caught_up(texts: Sequence[str]) -> list[dict[str, Any]]:
    decoded = [json.loads(text) for text in texts]
    rest = [message for message in decoded if message["action"] != "caught_up"]
    assert len(decoded) - len(rest) == 1
    return rest


def payloads(texts: Sequence[str]) -> list[object]:
    """Decode the posts of messages."""
    return [json.loads(text)["payload"] for text in texts]


async def test_who_lags_reads_every_post(system: System, edge: Process, audience: Audience) -> None:
    """Behind by more than all buffers hold, it is sent large pieces that begin and end where the socket says."""
    async with plain(edge) as (client, wide), audience.joined() as (reader, narrow):
        shown = await show(system, [written() for _ in range(5)])
        assert await reader.until(5) == shown
        await client.until_shown(5)
        before = (wide.received, narrow.received)
        narrow.flowing.clear()
        while not edge.metric("postcast_edge_lagging"):
            # Hexadecimal digits take half their bytes whatever they are, so that buffers fill.
            windows = [[written(_chance.randbytes(2000).hex()) for _ in range(40)] for _ in range(10)]
            shown += await show(system, *windows, [written()], [written() for _ in range(5)])
            await client.until_shown(len(shown))
        narrow.flowing.set()
        assert await reader.until(len(shown)) == shown
        shown += await show(system, [written() for _ in range(50)])
        assert await reader.until(len(shown)) == shown
        await client.until_shown(len(shown))
        assert narrow.received - before[1] < 0.65 * (wide.received - before[0])


async def test_a_bomb_is_refused_and_takes_no_memory(system: System, edge: Process) -> None:
    """64 KiB that inflate to 64 MiB, again and again: each is 1009, and the edge is no larger afterwards."""
    bomb = zlib.compress(bytes(1 << 26), 9, wbits=-zlib.MAX_WBITS)
    assert len(bomb) < 1 << 16
    frame = b"\xc1\xfe" + len(bomb).to_bytes(2) + bytes(4) + bomb
    async with await clients.connect(edge.websocket) as witness:
        before = peak(edge)
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(HANDSHAKE)
            assert ANSWER in await reader.readuntil(b"\r\n\r\n")
            writer.write(frame)
            close = await reader.read()
            assert (close[0], close[2:4]) == (0x88, (1009).to_bytes(2))
            writer.close()
        assert peak(edge) - before < 8 << 20
        shown = await show(system, [written()])
        await witness.until_shown(1)
        assert witness.raw == shown


def peak(process: Process) -> int:
    """Return the most bytes that a process ever had in memory (proc(5), VmHWM)."""
    status = Path(f"/proc/{serving(process.port).pid}/status").read_text("ascii")
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes) * 1024
