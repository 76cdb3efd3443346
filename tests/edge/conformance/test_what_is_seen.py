"""What a token allows is a boundary: on every transport, live, from memory and from old records, with any filter.

The whole edge runs, as it is composed, on a topic in memory; tokens are signed, and read as they come.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
from streams.contract import Millis, Offset
from tests.edge.kit.output import Output
from tests.edge.kit.records import publication, record
from tests.edge.kit.tokens import SECRET, signed
from tests.events import EventReader
from tests.strict import StrictConnection

HISTORY = 2
"""How many records an edge has in memory that starts: what is before them is replayed."""
BEGIN = before(Offset(0))
AUTHORS = 5
EVERYBODY = frozenset(range(AUTHORS))
CHOSEN = st.none() | st.frozensets(st.sampled_from(sorted(EVERYBODY)))
RECORDS = st.lists(
    st.lists(st.none() | st.sampled_from(sorted(EVERYBODY)), min_size=1, max_size=4), min_size=1, max_size=8
)


class Posts(NamedTuple):
    """Posts by their numbers, and who has written them."""

    authors: dict[int, int | None]

    def seen(self, claim: frozenset[int] | None, asked: frozenset[int] | None) -> list[int]:
        """Return which of them are both allowed and chosen: everybody's for None."""
        return [
            number
            for number, author in self.authors.items()
            if (claim is None or author in claim) and (not asked or author in asked)
        ]


def token_of(claim: frozenset[int] | None) -> str:
    """Sign a token that allows this."""
    restriction = {} if claim is None else {"postcast": {"authors": sorted(claim)}}
    return signed({"sub": "7", "exp": time.time() + 60, **restriction})


def query_of(asked: frozenset[int] | None) -> str:
    """Ask for this: an empty filter is none, in its wire form."""
    return "" if asked is None else f"author={','.join(map(str, asked))}"


class Stage:
    """An edge, and what is in its feed."""

    def __init__(self, topic: MemoryTopic) -> None:
        self.topic = topic
        self.posts = Posts({})
        self.address = ""

    def write(self, authors: list[int | None]) -> None:
        """Write a record with posts of these authors."""
        made = []
        for author in authors:
            number = len(self.posts.authors)
            self.posts.authors[number] = author
            made.append(publication(number, author=author))
        self.topic.write(record(*made), Millis(time.time_ns() // 1_000_000))

    @asynccontextmanager
    async def socket(self, query: str, token: str, *, in_header: bool) -> AsyncIterator[AsyncIterator[Any]]:
        """Connect a WebSocket, with the token in one of the two places; yield its messages."""
        offered = ["postcast.v1"] if in_header else ["postcast.v1", f"postcast.token.{token}"]
        headers = {"Authorization": f"Bearer {token}"} if in_header else {}
        async with connect(
            f"ws://{self.address}/?{query}",
            subprotocols=[Subprotocol(one) for one in offered],
            additional_headers=headers,
            create_connection=StrictConnection,
        ) as client:
            yield (json.loads(text) async for text in client)

    @asynccontextmanager
    async def events(self, query: str, token: str) -> AsyncIterator[AsyncIterator[Any]]:
        """Open a stream of events; yield its messages, with their cursors where a WebSocket has them."""
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
            session.get(f"http://{self.address}/events?{query}") as answer,
        ):
            assert answer.status == 200

            async def messages() -> AsyncIterator[Any]:
                reader = EventReader()
                async for piece in answer.content.iter_any():
                    for event in reader.feed(piece):
                        yield {**event.message, "cursor": event.last_event_id}

            yield messages()

    async def pages(self, query: str, token: str) -> tuple[list[int], str]:
        """Read all pages; return their posts and the feed's end."""
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
            offset, posts = "-1", []
            while True:
                async with session.get(f"http://{self.address}/posts?offset={offset}&{query}") as answer:
                    assert answer.status == 200
                    assert answer.headers["Cache-Control"] == "private, no-store"
                    posts += [message["payload"]["id"] for message in await answer.json()]
                    offset = answer.headers["Stream-Next-Offset"]
                    if "Stream-Up-To-Date" in answer.headers:
                        return posts, offset

    async def replays(self) -> float:
        """Say how many replays there were, by the edge's own metrics."""
        async with aiohttp.ClientSession() as session, session.get(f"http://{self.address}/metrics") as answer:
            text = await answer.text()
        return float(text.partition("\npostcast_edge_replays_begun_total ")[2].partition("\n")[0])


async def shown(messages: AsyncIterator[Any], end: str) -> list[int]:
    """Return which posts come until a message stands at the feed's end."""
    posts = []
    async for message in messages:
        if message["action"] == "created":
            posts.append(message["payload"]["id"])
        if end == message.get("cursor", message["payload"].get("cursor")):
            return posts
    raise AssertionError("the session has ended")


@asynccontextmanager
async def staged(records: list[list[int | None]]) -> AsyncIterator[Stage]:
    """Run an edge that comes to a feed in which these records are already."""
    stage = Stage(MemoryTopic())
    for authors in records:
        stage.write(authors)
    told = MockSettings(
        kafka_url="kafka://127.0.0.1:9",
        edge_host="127.0.0.1",
        edge_port=0,
        history_records=HISTORY,
        dedup_records=HISTORY,
        page_records=3,
        heartbeat_seconds=0.02,
        drain_seconds=0,
        jwt_secret_key=SecretStr(SECRET),
    )
    feed = Feed(stage.topic.connect, stage.topic.connect)
    async with asyncio.timeout(60), edge_serving(told, feed, TurnTimes(), Output()) as serving:
        stage.address = f"127.0.0.1:{serving.listener.addresses[0][1]}"
        async with aiohttp.ClientSession() as session:
            while (await session.get(f"http://{stage.address}/readyz")).status != 200:
                await asyncio.sleep(0.01)
        yield stage


async def end_of(stage: Stage) -> str:
    """Return the cursor of the feed's end, by what a client is sent that sees everything."""
    last = len(stage.posts.authors) - 1
    async with stage.socket(f"cursor={BEGIN}", token_of(None), in_header=True) as messages:
        async for message in messages:
            if message["action"] == "created" and message["payload"]["id"] == last:
                return str(message["cursor"])
    raise AssertionError("the session has ended")


@pytest.fixture(autouse=True)
def collected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave Python's garbage collection to the tests."""
    monkeypatch.setattr(garbage_collection, "configure", lambda: None)


@settings(max_examples=25)
@given(RECORDS, RECORDS, CHOSEN, CHOSEN)
def test_nobody_sees_what_their_token_does_not_allow_and_all_else_that_they_have_chosen(
    old: list[list[int | None]], new: list[list[int | None]], claim: frozenset[int] | None, asked: frozenset[int] | None
) -> None:
    """Neither more nor less, in order and once."""

    async def check() -> None:
        token, query = token_of(claim), query_of(asked)
        async with staged(old) as stage:
            known = len(stage.posts.authors)
            async with (
                stage.socket(query, token, in_header=True) as live,
                stage.socket(f"cursor={BEGIN}&{query}", token, in_header=False) as resumed,
                stage.events(f"cursor={BEGIN}&{query}", token) as streamed,
                stage.socket(f"history=1000&{query}", token, in_header=False) as remembered,
            ):
                welcome = await anext(live)
                assert welcome["payload"]["recovered"] is True
                for authors in new:
                    stage.write(authors)
                end = await end_of(stage)
                expected = stage.posts.seen(claim, asked)
                assert await shown(live, end) == [number for number in expected if number >= known]
                assert await shown(resumed, end) == await shown(streamed, end) == expected
                some = await shown(remembered, end)
                assert some == expected[len(expected) - len(some) :]
                assert await stage.pages(query, token) == (expected, end)
                assert (await stage.replays() > 0) == (len(old) > HISTORY)

    asyncio.run(check())
