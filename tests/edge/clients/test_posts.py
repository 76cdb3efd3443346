"""``/posts`` by HTTP: what Durable Streams demands of one that is read, and what an edge demands of its clients.

The sections are those of PROTOCOL.md at commit f380bca of github.com/durable-streams/durable-streams. The stream is
never closed and has no forks: what concerns those cannot happen here.
"""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from jsonschema import Draft202012Validator

from edge.fanout.deadlines import Patience
from edge.feed.paging import Extent
from edge.feed.position import before
from streams.contract import Offset
from tests.edge.kit.edge import Edge, Paging, serving
from tests.edge.kit.listening import RULES, gate
from tests.edge.kit.records import cursor, publication, record
from tests.edge.kit.sign_in import MemorySignIn, granted

_GONE = Path(__file__).parents[3] / "docs/schemas/gone.json"
SOON = Paging(Extent(1 << 16, 10), patience=0.2)
LONG = Paging(Extent(1 << 16, 10))


class Answer(NamedTuple):
    """An answer by HTTP."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def ids(self) -> list[int]:
        """The posts that it has."""
        assert self.headers["Content-Type"] == "application/json"
        return [message["payload"]["id"] for message in json.loads(self.body)]

    @property
    def next(self) -> str:
        """Where to go on."""
        return self.headers["Stream-Next-Offset"]


class Asker:
    """A client of an edge's ``/posts``."""

    def __init__(self, edge: Edge, session: aiohttp.ClientSession) -> None:
        self.edge = edge
        self._session = session

    async def __call__(self, query: str = "", method: str = "GET", **headers: str) -> Answer:
        """Ask; ``If_None_Match`` stands for the header of that name."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{self.edge.port}/posts{query}"
        async with self._session.request(method, url, headers=named) as response:
            return Answer(response.status, await response.read(), response.headers)

    async def waiting(self, query: str) -> "asyncio.Task[Answer]":
        """Ask, and return once the request waits."""
        before = len(self.edge.waiters)
        task = asyncio.create_task(self(query))
        while len(self.edge.waiters) == before:
            await asyncio.sleep(0.001)
        return task


@asynccontextmanager
async def asking(paging: Paging = SOON, records: int = 25, **options: Any) -> AsyncIterator[Asker]:
    """Serve a feed of so many records with a post each, and ask."""
    async with serving(paging=paging, **options) as edge, aiohttp.ClientSession() as session:
        for number in range(records):
            edge.feed.publish(number)
        yield Asker(edge, session)


async def stream_metadata(ask: Asker) -> None:
    answer = await ask(method="HEAD")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"", "application/json")
    assert answer.next == (await ask("?offset=now")).next
    assert answer.headers["Cache-Control"] == "no-store"


async def up_to_date_is_said_at_the_end(ask: Asker) -> None:
    answer = await ask(f"?offset={behind(19)}")
    assert (answer.ids, answer.headers["Stream-Up-To-Date"]) == ([20, 21, 22, 23, 24], "true")
    answer = await ask(f"?offset={answer.next}")
    assert (answer.status, answer.ids, answer.headers["Stream-Up-To-Date"]) == (200, [], "true")
    assert answer.next == behind(24)


async def up_to_date_is_not_said_before_it(ask: Asker) -> None:
    assert "Stream-Up-To-Date" not in (await ask(f"?offset={behind(5)}")).headers


async def closed_is_never_said(ask: Asker) -> None:
    for query in ("", "?offset=now", "?offset=now&live=long-poll", f"?offset={behind(24)}"):
        assert "Stream-Closed" not in (await ask(query)).headers


async def a_long_poll_needs_an_offset(ask: Asker) -> None:
    assert (await ask("?live=long-poll")).status == 400


async def a_long_poll_with_posts_has_a_stream_cursor(ask: Asker) -> None:
    answer = await ask(f"?offset={behind(22)}&live=long-poll")
    assert (answer.status, answer.ids) == (200, [23, 24])
    assert answer.headers["Stream-Cursor"].isdigit()
    assert answer.headers["Stream-Up-To-Date"] == "true"


async def a_long_poll_in_vain_tells_the_end(ask: Asker) -> None:
    answer = await ask(f"?offset={behind(24)}&live=long-poll")
    assert (answer.status, answer.body, answer.next) == (204, b"", behind(24))
    assert answer.headers["Stream-Up-To-Date"] == "true"
    assert answer.headers["Stream-Cursor"].isdigit()


async def offsets_sort_as_their_posts_do(ask: Asker) -> None:
    posts = [message for number in (0, 9, 19) for message in json.loads((await ask(f"?offset={behind(number)}")).body)]
    offsets = [message["cursor"] for message in posts]
    assert offsets == sorted(set(offsets))
    assert [message["payload"]["id"] for message in posts] == list(range(1, 25))


async def offsets_are_single_tokens(ask: Asker) -> None:
    for query in ("", "?offset=now", f"?offset={behind(3)}", "?offset=now&live=long-poll"):
        assert re.fullmatch(r"[0-9a-v]{32}", (await ask(query)).next)


async def the_beginning_has_a_name(ask: Asker) -> None:
    named, omitted = await ask("?offset=-1"), await ask()
    assert (named.ids, named.next, named.headers["ETag"]) == (omitted.ids, omitted.next, omitted.headers["ETag"])
    assert named.ids == list(range(10))


async def now_is_an_empty_array_at_the_end(ask: Asker) -> None:
    answer = await ask("?offset=now")
    assert (answer.status, answer.body, answer.next) == (200, b"[]", behind(24))
    assert answer.headers["Stream-Up-To-Date"] == "true"
    assert answer.headers["Cache-Control"] == "no-store"


async def a_long_poll_from_now_on_waits_at_once(ask: Asker) -> None:
    task = await ask.waiting("?offset=now&live=long-poll")
    ask.edge.feed.publish(25)
    answer = await task
    assert (answer.status, answer.ids, answer.next) == (200, [25], behind(25))


async def a_long_poll_from_now_on_in_vain_tells_the_end(ask: Asker) -> None:
    answer = await ask("?offset=now&live=long-poll")
    assert (answer.status, answer.next, answer.headers["Stream-Up-To-Date"]) == (204, behind(24), "true")


async def an_array_has_all_messages_of_the_range(ask: Asker) -> None:
    ask.edge.feed.publish(100, 101, 102)
    [*_, last] = json.loads((await ask(f"?offset={behind(24)}")).body)
    assert last == {
        "action": "created",
        "payload": {"id": 102},
        "cursor": str(cursor(25, 3, record(100, 101, 102))),
        "window": 0,
    }
    middle = cursor(25, 1, record(100, 101, 102))
    assert (await ask(f"?offset={middle}")).ids == [101, 102]


async def nothing_in_the_range_is_an_empty_array(ask: Asker) -> None:
    answer = await ask(f"?offset={behind(24)}")
    assert (answer.body, answer.headers["Content-Type"]) == (b"[]", "application/json")


async def pages_have_tags_and_now_has_none(ask: Asker) -> None:
    tags = [(await ask(f"?offset={offset}")).headers["ETag"] for offset in ("-1", behind(3), behind(23), behind(24))]
    assert len(set(tags)) == 4
    assert "ETag" not in (await ask("?offset=now")).headers


async def a_tag_that_matches_is_answered_304(ask: Asker) -> None:
    for offset in ("-1", behind(3), behind(23), behind(24)):
        first = await ask(f"?offset={offset}")
        again = await ask(f"?offset={offset}", If_None_Match=f'"x", {first.headers["ETag"]}')
        assert (again.status, again.body, again.next) == (304, b"", first.next)
        assert again.headers["ETag"] == first.headers["ETag"]
    newest = (await ask(f"?offset={behind(23)}")).headers["ETag"]
    ask.edge.feed.publish(25)
    assert (await ask(f"?offset={behind(23)}", If_None_Match=newest)).ids == [24, 25]


async def a_stream_cursor_is_greater_than_its_echo(ask: Asker) -> None:
    first = int((await ask("?offset=now&live=long-poll")).headers["Stream-Cursor"])
    for echo in (first, first + 1, first + 1_000_000):
        for offset in ("now", behind(22)):
            answer = await ask(f"?offset={offset}&live=long-poll&cursor={echo}")
            assert int(answer.headers["Stream-Cursor"]) > echo
    earlier = await ask(f"?offset=now&live=long-poll&cursor={first - 5}")
    assert int(earlier.headers["Stream-Cursor"]) >= first


async def unknown_parameters_are_ignored(ask: Asker) -> None:
    assert (await ask(f"?offset={behind(3)}&flavour=1")).status == 200


MUSTS: list[tuple[str, Callable[[Asker], Awaitable[None]]]] = [
    ("5.5", stream_metadata),
    ("5.6", up_to_date_is_said_at_the_end),
    ("5.6", up_to_date_is_not_said_before_it),
    ("5.6", closed_is_never_said),
    ("5.7", a_long_poll_needs_an_offset),
    ("5.7", a_long_poll_with_posts_has_a_stream_cursor),
    ("5.7", a_long_poll_in_vain_tells_the_end),
    ("8", offsets_sort_as_their_posts_do),
    ("8", offsets_are_single_tokens),
    ("8", the_beginning_has_a_name),
    ("8", now_is_an_empty_array_at_the_end),
    ("8", a_long_poll_from_now_on_waits_at_once),
    ("8", a_long_poll_from_now_on_in_vain_tells_the_end),
    ("9.1.1", an_array_has_all_messages_of_the_range),
    ("9.1.5", nothing_in_the_range_is_an_empty_array),
    ("10.1", pages_have_tags_and_now_has_none),
    ("10.1", a_tag_that_matches_is_answered_304),
    ("10.1", a_stream_cursor_is_greater_than_its_echo),
    ("11.1", unknown_parameters_are_ignored),
]


@pytest.mark.parametrize(
    "must", [must for _, must in MUSTS], ids=[f"{section} {must.__name__}" for section, must in MUSTS]
)
async def test_a_must_of_durable_streams(must: Callable[[Asker], Awaitable[None]]) -> None:
    async with asking() as ask:
        await must(ask)


def behind(number: int) -> str:
    """Return the offset behind a record of the feed."""
    return str(cursor(number, 1, record(number)))


@pytest.mark.parametrize(
    ("query", "method", "status"),
    [
        ("?offset=now&live=sse", "GET", 400),
        ("?offset=nowhere", "GET", 400),
        *(("", method, 405) for method in ("POST", "PUT", "PATCH", "DELETE")),
        (f"?offset={before(Offset(99))}", "GET", 410),
    ],
)
async def test_what_is_refused_is_kept_by_nobody(query: str, method: str, status: int) -> None:
    async with asking() as ask:
        answer = await ask(query, method)
        assert (answer.status, answer.headers["Cache-Control"]) == (status, "no-store")
        assert answer.headers.get("Allow") == ("GET, HEAD" if status == 405 else None)


async def test_what_is_gone_says_why_and_where_to_go_on() -> None:
    async with asking() as ask:
        answer = await ask(f"?offset={cursor(3, 1, b'another')}")
        assert (answer.status, answer.next) == (410, behind(24))
        assert json.loads(answer.body) == {"recovered": False, "cursor": behind(24), "reason": "recreated"}
        Draft202012Validator(json.loads(_GONE.read_text("utf-8"))).validate(json.loads(answer.body))


async def test_a_page_is_for_all_caches_but_not_for_a_client_that_says_who_it_is() -> None:
    async with asking(sign_in=MemorySignIn({"x": granted()})) as ask:
        assert (await ask(f"?offset={behind(3)}")).headers["Cache-Control"] == "public, max-age=31536000, immutable"
        answer = await ask(f"?offset={behind(3)}", Authorization="Bearer x")
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "private, no-store")


async def test_an_answer_is_taken_for_nothing_but_json() -> None:
    async with asking() as ask:
        assert (await ask()).headers["X-Content-Type-Options"] == "nosniff"


async def test_a_long_poll_counts_as_a_connection_of_its_address() -> None:
    through = gate(per_address=2, rules=replace(RULES))
    async with asking(LONG, through=through) as ask:
        tasks = [await ask.waiting("?offset=now&live=long-poll") for _ in range(2)]
        assert through.census.connections == 2
        assert (await ask("?offset=now")).status == 429
        ask.edge.feed.publish(25)
        assert [(await task).status for task in tasks] == [200, 200]


async def test_without_room_for_connections_a_client_is_told_when_to_come_back() -> None:
    async with asking(LONG, through=gate(total=1)) as ask:
        task = await ask.waiting("?offset=now&live=long-poll")
        answer = await ask("?offset=now")
        assert (answer.status, answer.headers["Retry-After"], answer.headers["Connection"]) == (503, "1", "close")
        ask.edge.feed.publish(25)
        await task


async def test_at_a_drain_all_long_polls_are_answered_and_nobody_else_is_let_in() -> None:
    async with asking(LONG) as ask:
        tasks = [await ask.waiting("?offset=now&live=long-poll") for _ in range(6)]
        drain = asyncio.create_task(ask.edge.server.drain(0.5))
        for answer in await asyncio.gather(*tasks):
            assert (answer.status, answer.next, answer.headers["Connection"]) == (204, behind(24), "close")
        await drain
        assert len(ask.edge.waiters) == 0
        refused = await ask("?offset=now")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")


async def test_a_drain_waits_for_nobody_longer_than_it_may() -> None:
    async with asking(LONG) as ask:
        await ask.waiting("?offset=now&live=long-poll")
        ask.edge.feed.trouble = "Kafka does not answer."
        ask.edge.waiters.publish()
        await ask.edge.posts.drain(0)
        ask.edge.feed.trouble = None
        ask.edge.feed.publish(25)


async def test_a_client_that_leaves_waits_no_more() -> None:
    """Else its poll would be kept until its time is over, however many come and go."""
    async with asking(LONG) as ask:
        task = await ask.waiting("?offset=now&live=long-poll")
        task.cancel()
        while len(ask.edge.waiters):
            await asyncio.sleep(0.001)
        await ask.edge.posts.drain(1)


@pytest.mark.parametrize("rest", [b"GET /posts HT", b"x" * 20_000], ids=["408", "431"])
async def test_nothing_is_written_into_an_answer_that_is_under_way(rest: bytes) -> None:
    """A request that follows too early, and breaks a limit, ends the connection and does not answer the first."""
    through = gate(replace(RULES, handshake_seconds=0.05))
    async with asking(LONG, through=through) as ask:
        reader, writer = await asyncio.open_connection("127.0.0.1", ask.edge.port)
        writer.write(b"GET /posts?offset=now&live=long-poll HTTP/1.1\r\nHost: x\r\n\r\n")
        while not len(ask.edge.waiters):
            await asyncio.sleep(0.001)
        writer.write(rest)
        assert await reader.read() == b""
        writer.close()


async def test_a_reader_that_takes_nothing_is_cut() -> None:
    patience = Patience(ping=20, dead=60, stalled=0.1)
    async with asking(Paging(Extent(1 << 22, 1000)), records=0, patience=patience) as ask:
        for _ in range(20):
            ask.edge.log.append(
                ask.edge.log.next_offset or Offset(0),
                record(publication(ask.edge.log.next_offset or 0, text="x" * 40_000)),
            )
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", ask.edge.port))
            await loop.sock_sendall(client, b"GET /posts HTTP/1.1\r\nHost: x\r\n\r\n")
            while not ask.edge.posts.figures.stalled or ask.edge.gate.census.connections:
                await asyncio.sleep(0.01)


async def test_a_client_that_leaves_at_once_gets_nothing() -> None:
    async with asking() as ask:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", ask.edge.port)) as client:
                client.sendall(b"GET /posts HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await ask("?offset=now")).status == 200


async def test_what_is_done_is_counted() -> None:
    async with asking() as ask:
        first = await ask()
        await ask("", If_None_Match=first.headers["ETag"])
        await ask("?offset=now&live=long-poll")
        await ask("?offset=nowhere")
        figures = ask.edge.posts.figures
        assert figures.answers == {"200": 1, "304": 1, "204": 1}
        assert ask.edge.around.refusals == {("http", "request"): 1}
        assert (figures.bytes_sent, figures.waiting, figures.stalled) == (len(first.body), 0, 0)
        assert figures.made >= 1


async def test_a_reader_with_a_filter_gets_pages_and_polls_of_these_authors_alone() -> None:
    async with asking(LONG, records=0) as ask:
        for number in range(12):
            ask.edge.feed.publish(publication(number, author=number % 3))
        first = await ask("?author=1,2&author=7")
        assert first.ids == [1, 2, 4, 5, 7, 8]
        newest = await ask(f"?offset={first.next}&author=1,2,7")
        assert (newest.ids, newest.headers["Stream-Up-To-Date"]) == ([10, 11], "true")
        task = await ask.waiting(f"?offset={newest.next}&author=1&live=long-poll")
        ask.edge.feed.publish(publication(12, author=2))
        ask.edge.feed.publish(publication(13, author=1))
        assert (await task).ids == [13]


async def test_a_filter_is_refused_that_is_none_or_more_than_there_is_room_for() -> None:
    async with asking(max_authors=2) as ask:
        assert (await ask("?author=somebody")).status == 400
        answer = await ask("?author=1,2,3")
        assert (answer.status, answer.headers["Retry-After"], answer.headers["Cache-Control"]) == (503, "1", "no-store")
        assert (await ask("?author=1,2")).status == 200
