"""A token as a boundary, on a whole edge: whoever comes by whatever way, and from wherever, sees what it allows.

The feed is in memory; everything else is an edge as it runs, with a log so small that old posts are replayed.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from itertools import combinations, count, cycle, islice, product
from typing import Any, Final, NamedTuple

import aiohttp
import pytest
from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from edge import garbage_collection
from edge.app import edge_serving
from edge.feed.position import before
from edge.feed.topic import Feed
from edge.mock.app import MockSettings
from edge.mock.topic import MemoryTopic
from edge.telemetry import TurnTimes
from streams.contract import Millis, Offset, Publication
from tests.edge.kit.output import Output
from tests.edge.kit.records import publication, record
from tests.edge.kit.tokens import SECRET, signed
from tests.strict import StrictConnection

AUTHORS: Final = (1, 2, 3, None)
RECORDS: Final = [authors for size in range(1, len(AUTHORS) + 1) for authors in combinations(AUTHORS, size)]
"""Whose posts the records have, one after the other: everybody sees all of some, a part of others, and none of some."""
LONG: Final = "x" * 8000
"""So that a few hundred posts are more than the log keeps."""
OLD: Final = 120
CLAIMS: Final = (None, (), (1,), (1, 3))
FILTERS: Final = (None, (1, 2))
BROWSER: Final = "v1 compressed"
TRANSPORTS: Final = ("plain", "plain compressed", "v1", BROWSER, "events", "posts")
STARTS: Final = ("beginning", "old", "recent", "history", "now")
HISTORY: Final = 7


class Post(NamedTuple):
    """A post, and whose it is."""

    id: int
    author: int | None


class Stage:
    """An edge, and all that was ever posted."""

    def __init__(self, topic: MemoryTopic) -> None:
        self.topic = topic
        self.port = 0
        self.posts: list[Post] = []
        self._ids = count(1)

    def write(self, records: int, text: str) -> list[Post]:
        """Post for the authors of so many records; return the posts."""
        new: list[Post] = []
        for authors in islice(cycle(RECORDS), records):
            posts = [Post(next(self._ids), author) for author in authors]
            made: list[Publication] = [publication(post.id, text=text, author=post.author) for post in posts]
            self.topic.write(record(*made), Millis(time.time_ns() // 1_000_000))
            new += posts
        self.posts += new
        return new

    async def end(self) -> str:
        """Return the cursor of the feed's end."""
        async with aiohttp.ClientSession() as session, session.head(self.url("http", "/posts", {})) as answer:
            return answer.headers["Stream-Next-Offset"]

    async def replays(self) -> float:
        """Say how many replays there were, by the edge's own metrics."""
        async with aiohttp.ClientSession() as session, session.get(self.url("http", "/metrics", {})) as answer:
            text = await answer.text()
        return float(text.partition("\npostcast_edge_replays_begun_total ")[2].partition("\n")[0])

    def url(self, scheme: str, path: str, query: Mapping[str, str]) -> str:
        """Make a URL of the edge's."""
        return f"{scheme}://127.0.0.1:{self.port}{path}?" + "&".join(f"{name}={text}" for name, text in query.items())


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """Serve a feed of which the log has a small part."""
    settings = MockSettings(
        kafka_url="kafka://127.0.0.1:9",
        edge_host="127.0.0.1",
        edge_port=0,
        jwt_secret_key=SecretStr(SECRET),
        log_bytes=1 << 20,
        join_rate=0,
        heartbeat_seconds=0.1,
        drain_seconds=1,
    )
    stage = Stage(MemoryTopic())
    stage.write(OLD, LONG)
    feed = Feed(stage.topic.connect, stage.topic.connect)
    async with edge_serving(settings, feed, TurnTimes(), Output()) as edge:
        stage.port = edge.listener.addresses[0][1]
        yield stage


class Case(NamedTuple):
    """How a client comes, and what it may see, and wants to."""

    transport: str
    claim: tuple[int, ...] | None
    chosen: tuple[int, ...] | None
    start: str

    @property
    def is_possible(self) -> bool:
        """Tell whether there are such clients, and something for them to see where nothing else tells their place."""
        if self.transport == "posts":
            return self.start != "history"
        return not self.transport.startswith("plain") or (self.start == "now" and self.claim != ())

    def sees(self, post: Post) -> bool:
        """Say by sets whether it sees a post."""
        is_allowed = self.claim is None or post.author in self.claim
        return is_allowed and (self.chosen is None or post.author in self.chosen)


def token(claim: tuple[int, ...] | None) -> str:
    """Make a token that allows that."""
    restricted = {} if claim is None else {"postcast": {"authors": claim}}
    return signed({"sub": "alice", "exp": time.time() + 3600, **restricted})


async def cursors(stage: Stage) -> list[tuple[str, int]]:
    """Return the cursor behind every post, as somebody learns them who may see all, and the post."""
    found: list[tuple[str, int]] = []
    offset = "-1"
    async with aiohttp.ClientSession() as session:
        while len(found) < len(stage.posts):
            async with session.get(stage.url("http", "/posts", {"offset": offset})) as page:
                if page.status == HTTPStatus.OK:
                    found += [(each["cursor"], each["payload"]["id"]) for each in await page.json()]
                    offset = page.headers["Stream-Next-Offset"]
    return found


class Viewer:
    """A client that looks until it stands behind the ``last`` place, or has seen ``most`` posts."""

    def __init__(self, stage: Stage, token: str, query: dict[str, str]) -> None:
        self._stage = stage
        self._token = token
        self._headers = {"Authorization": f"Bearer {token}"}
        self._query = query
        self.joined = asyncio.Event()
        self.shown: list[int] = []
        self.last = ""
        self.most = 1 << 30

    def is_done(self, place: str) -> bool:
        """Tell whether what comes behind this place is not wanted any more."""
        return len(self.shown) >= self.most or "" < self.last <= place

    async def watch(self, transport: str) -> None:
        """Look at a WebSocket; a browser's has its token in a subprotocol."""
        headers, offered = self._headers, ["postcast.v1"] if transport.startswith("v1") else []
        if transport == BROWSER:
            headers, offered = {}, [*offered, f"postcast.token.{self._token}"]
        async with connect(
            self._stage.url("ws", "/", self._query),
            additional_headers=headers,
            subprotocols=[Subprotocol(each) for each in offered] or None,
            compression="deflate" if "compressed" in transport else None,
            create_connection=StrictConnection,
        ) as client:
            self.joined.set()
            async for text in client:
                message = json.loads(text)
                self._take(message)
                if self.is_done(message.get("cursor", "")):
                    break

    async def listen(self) -> None:
        """Look at a stream of events."""
        url = self._stage.url("http", "/events", self._query)
        async with aiohttp.ClientSession() as session, session.get(url, headers=self._headers) as answer:
            self.joined.set()
            place = ""
            async for line in answer.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "id":
                    place = value
                elif name == "data":
                    self._take(json.loads(value))
                elif not name and self.is_done(place):
                    break

    async def read(self) -> None:
        """Look at pages."""
        offset = self._query.pop("cursor", "now")
        async with aiohttp.ClientSession(headers=self._headers) as session:
            while not self.is_done("" if offset == "now" else offset):
                url = self._stage.url("http", "/posts", {**self._query, "offset": offset})
                async with session.get(url) as page:
                    if page.status == HTTPStatus.OK:
                        assert page.headers["Cache-Control"] == "private, no-store"
                        for message in await page.json():
                            self._take(message)
                        offset = page.headers["Stream-Next-Offset"]
                        self.joined.set()
                await asyncio.sleep(0.05)

    def _take(self, message: Any) -> None:
        if message["action"] == "created":
            self.shown.append(message["payload"]["id"])


def looking(viewer: Viewer, transport: str) -> Coroutine[None, None, None]:
    """Have a viewer look by a transport."""
    if transport == "posts":
        return viewer.read()
    return viewer.listen() if transport == "events" else viewer.watch(transport)


@pytest.fixture(autouse=True)
def collected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave Python's garbage collection to the tests."""
    monkeypatch.setattr(garbage_collection, "configure", lambda: None)


async def test_whoever_comes_however_sees_what_its_token_allows_and_nothing_else() -> None:
    """All of it from its place on, in order and once; also what others were sent before, compressed or in pages."""
    async with staged() as stage, asyncio.timeout(50):
        known = await cursors(stage)
        # So the log has forgotten what is old.
        assert await stage.replays() > 0
        places = {"beginning": (str(before(Offset(0))), 0), "old": known[4], "recent": known[-40]}
        viewers: list[tuple[Viewer, asyncio.Task[None], Case]] = []
        for case in map(Case._make, product(TRANSPORTS, CLAIMS, FILTERS, STARTS)):
            if not case.is_possible:
                continue
            query = {} if case.chosen is None else {"author": ",".join(map(str, case.chosen))}
            if case.start == "history":
                query["history"] = str(HISTORY)
            elif case.start in places:
                query["cursor"] = places[case.start][0]
            viewer = Viewer(stage, token(case.claim), query)
            viewers.append((viewer, asyncio.create_task(looking(viewer, case.transport)), case))
        await asyncio.gather(*(viewer.joined.wait() for viewer, _, _ in viewers))
        for viewer, _, case in viewers:
            if case.transport.startswith("plain"):
                # Nobody tells it where it stands.
                viewer.most = sum(case.sees(Post(0, author)) for authors in RECORDS for author in authors)
        new = stage.write(len(RECORDS), "new")
        last = await stage.end()
        for viewer, _, _ in viewers:
            viewer.last = last
        for viewer, looks, case in viewers:
            await looks
            first = places[case.start][1] if case.start in places else new[0].id - 1
            expected = [post.id for post in stage.posts if post.id > first and case.sees(post)]
            got = viewer.shown
            if case.start == "history":
                earlier = [post.id for post in stage.posts if post.id <= first and case.sees(post)]
                expected = earlier[max(0, len(earlier) - HISTORY) :] + expected
            assert got == expected, case
        assert len(viewers) > 100
