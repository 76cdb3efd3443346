"""Pages of posts as others take them: the client of Durable Streams, and nginx with a cache."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from integration import npm, topics
from integration.conftest import Install
from integration.durable_streams import CLIENT, following
from integration.ports import free_port
from integration.proxies import nginx
from integration.system import Process, System
from streams.contract import FeedRecord, Millis, Publication, encode_feed
from tests.edge.kit.tokens import SECRET, signed

# A cache as its documentation has it, in memory of its own; it is told nothing about what may be kept.
_NGINX: Final = """
    proxy_cache_path {{home}}/pages keys_zone=pages:1m;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{edge};
            proxy_cache pages;
            proxy_cache_convert_head off;
            proxy_cache_key $request_method$uri$is_args$args;
            add_header X-Cache $upstream_cache_status;
        }}
    }}
"""


_PROTOCOLS: Final = "Sec-WebSocket-Protocol"

HISTORY: Final = 50
REACH: Final = 100
SECONDS: Final = 6.0
POLLS: Final = 500
AHEAD_RECORDS: Final = 256 * 1024 // 80


class Site(NamedTuple):
    """An edge, and a feed that no worker writes."""

    system: System
    edge: Process
    ids: Iterator[int]

    async def show(self, number: int) -> list[int]:
        """Show so many posts, one a record; return their ids."""
        ids = [next(self.ids) for _ in range(number)]
        await topics.write(self.system.environment["KAFKA_URL"], self.system.feed, list(map(_record, ids)))
        return ids


def _record(id_: int) -> bytes:
    """Encode a record of one post, whose author is 1 for every second of them."""
    payload = msgspec.Raw(msgspec.json.encode({"id": id_}))
    return encode_feed(FeedRecord(Millis(0), [Publication("created", id_, payload, id_ % 2)]))


class Answer(NamedTuple):
    """What somebody was answered, and what the cache says of it."""

    status: int
    ids: list[int]
    next_offset: str | None
    cache: str | None
    kept: str | None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm.install(tmp_path_factory.mktemp("npm"), CLIENT)


@pytest.fixture
async def site(install: Install) -> Site:
    """Start an edge whose pages are short, and that waits for little."""
    system = install(
        DRAIN_SECONDS=2,
        PAGE_RECORDS=10,
        LONG_POLL_SECONDS=1,
        HISTORY_RECORDS=HISTORY,
        DEDUP_RECORDS=REACH,
        TRUSTED_PROXIES="127.0.0.0/8",
        JWT_SECRET_KEY=SECRET,
    )
    await topics.create(system.environment["KAFKA_URL"], {system.feed: 1})
    edge = system.edge()
    await asyncio.to_thread(edge.until_ready)
    return Site(system, edge, count(1))


async def test_its_own_client_follows_the_feed_through_restarts_of_the_edge(site: Site, folder: Path) -> None:
    """Nothing is lost, twice or out of order: over an edge that ends, and over one that is killed.

    Also where the edge that it comes back to has not in memory what it has missed.
    """
    shown = await site.show(25)
    async with following(folder, f"http://127.0.0.1:{site.edge.port}/posts") as follower:
        await follower.until(lambda: len(follower.ids) == len(shown), "what was there")
        # Page by page, and then by long polls, one of them in vain.
        assert [len(batch["items"]) for batch in follower.batches[:3]] == [10, 10, 5]
        assert [batch["upToDate"] for batch in follower.batches[:3]] == [False, False, True]
        await follower.until(lambda: len(follower.batches) == 5, "a long poll in vain")
        shown.extend(await site.show(3))
        await follower.until(lambda: len(follower.ids) >= len(shown), "what is new")
        for end, number in ((site.edge.terminate, 12), (site.edge.kill, 12), (site.edge.kill, 5 * HISTORY)):
            await asyncio.to_thread(end)
            shown.extend(await site.show(number))
            await asyncio.to_thread(lambda: site.edge.start().until_ready())
            shown.extend(await site.show(2))
            await follower.until(lambda: len(follower.ids) >= len(shown), "what came meanwhile")
        assert follower.ids == shown
        assert await asyncio.to_thread(site.edge.metric, "postcast_edge_replays_begun_total") >= 1


async def test_the_beginning_and_all_that_follows_it_come_from_kafka(site: Site, folder: Path) -> None:
    """Although the edge has a part of it in memory."""
    shown = await site.show(4 * HISTORY)
    await asyncio.to_thread(site.edge.kill)
    await asyncio.to_thread(lambda: site.edge.start().until_ready())
    async with following(folder, f"http://127.0.0.1:{site.edge.port}/posts") as follower:
        await follower.until(lambda: len(follower.ids) >= len(shown), "everything")
        assert follower.ids == shown


async def test_readers_of_random_old_places_cost_kafka_a_bounded_number_of_records(site: Site) -> None:
    """From however many addresses, as fast as they can: a replay a second, of what repeats take and a little more."""
    shown = await site.show(6_000)

    def cursors() -> list[str]:
        """Return the place behind each of the posts, as an edge with all of them tells it."""
        with_all = site.system.edge(HISTORY_RECORDS=10_000)
        with_all.until_ready()
        found: list[str] = []
        client = HTTPConnection("127.0.0.1", with_all.port, timeout=30)
        offset = "-1"
        while len(found) < len(shown):
            client.request("GET", f"/posts?offset={offset}")
            answer = client.getresponse()
            found += [each["cursor"] for each in json.loads(answer.read())]
            offset = answer.headers["Stream-Next-Offset"]
        client.close()
        with_all.kill()
        return found

    def ask(places: list[str], until: float) -> Counter[int]:
        """Ask for one place after the other, each time from another address; return the answers by status."""
        chance, answers = random.Random(1), Counter[int]()  # noqa: S311 - any places will do
        client = HTTPConnection("127.0.0.1", site.edge.port, timeout=30)
        while time.monotonic() < until:
            address = f"192.0.2.{chance.randrange(256)}"
            client.request("GET", f"/posts?offset={chance.choice(places)}", headers={"X-Forwarded-For": address})
            answer = client.getresponse()
            answers[answer.status] += 1
            answer.read()
        client.close()
        return answers

    places = (await asyncio.to_thread(cursors))[:-HISTORY]
    await asyncio.to_thread(site.edge.kill)
    await asyncio.to_thread(lambda: site.edge.start().until_ready())
    begun_at = time.monotonic()
    answers = await asyncio.gather(*(asyncio.to_thread(ask, places, begun_at + SECONDS) for _ in range(4)))
    seconds = time.monotonic() - begun_at
    by_status = sum(answers, Counter[int]())
    replays, records, read = [
        await asyncio.to_thread(site.edge.metric, f"postcast_edge_{name}_total")
        for name in ("replays_begun", "replay_records", "replay_bytes")
    ]
    print(f"{seconds:.1f} s: answers {dict(by_status)}, {replays:.0f} replays, {records:.0f} records, {read:.0f} bytes")
    assert by_status[200] > 0
    assert by_status[503] > 0
    assert 1 <= replays <= seconds + 1
    # What repeats take, what is about the place, and 256 KiB ahead, in records of some 90 bytes.
    assert records / replays <= REACH + 32 + 2 * AHEAD_RECORDS


async def test_many_long_polls_are_answered_by_one_post_without_a_long_turn(site: Site) -> None:
    """Each once; the live feed and everybody else have the loop in between."""
    edge = await asyncio.to_thread(lambda: site.system.edge(LONG_POLL_SECONDS=100).until_ready())

    async def ask() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(b"GET /posts?offset=now&live=long-poll HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n")
        return reader, writer

    def long_turns() -> float:
        """How many turns took more than 20 ms of CPU."""
        _, text = edge.ask("/metrics")
        families = text_string_to_metric_families(text)
        [turns] = [each for each in families if each.name == "postcast_edge_turn_cpu_seconds"]
        counts = {sample.labels.get("le"): sample.value for sample in turns.samples}
        return counts["+Inf"] - counts["0.02"]

    clients = [await ask() for _ in range(POLLS)]
    polls = partial(edge.metric, "postcast_edge_page_polls")
    await asyncio.to_thread(edge.until, lambda: polls() == POLLS, f"has {POLLS} long polls")
    before = await asyncio.to_thread(long_turns)
    [id_] = await site.show(1)
    answers = await asyncio.gather(*(reader.read() for reader, _ in clients))
    assert {answer.partition(b" 200 ")[0] for answer in answers} == {b"HTTP/1.1"}
    bodies = {answer.partition(b"\r\n\r\n")[2] for answer in answers}
    assert [[each["payload"]["id"] for each in json.loads(body)] for body in bodies] == [[id_]]
    assert await asyncio.to_thread(long_turns) == before
    assert await asyncio.to_thread(polls) == 0
    for _, writer in clients:
        writer.close()


@contextmanager
def cached(site: Site) -> Iterator["Cache"]:
    """Put nginx before the edge."""
    port = free_port()
    with nginx(_NGINX.format(port=port, edge=site.edge.port), port=port):
        yield Cache(site, port)


class Cache:
    """nginx with a cache before an edge."""

    def __init__(self, site: Site, port: int) -> None:
        self._site = site
        self._port = port

    def ask(self, query: str, method: str = "GET", **headers: str) -> Answer:
        """Ask through it."""
        client = HTTPConnection("127.0.0.1", self._port, timeout=30)
        client.request(method, f"/posts{query}", headers=headers)
        answer = client.getresponse()
        body = answer.read()
        client.close()
        return Answer(
            answer.status,
            [each["payload"]["id"] for each in json.loads(body)] if answer.status == HTTPStatus.OK and body else [],
            answer.headers["Stream-Next-Offset"],
            answer.headers["X-Cache"],
            answer.headers["Cache-Control"],
        )

    def asked(self) -> float:
        """How often the edge was asked for a page."""
        return sum(self._site.edge.metric("postcast_edge_page_answers_total", status=each) for each in ("200", "304"))


async def test_a_second_reader_costs_the_edge_nothing(site: Site) -> None:
    """But for the first page and the newest, which are nobody else's. Also one with a filter."""
    shown = await site.show(45)

    def read(cache: Cache, query: str = "") -> tuple[list[int], list[str | None]]:
        """Read all pages; return the posts, and what the cache says of each page."""
        ids: list[int] = []
        said: list[str | None] = []
        offset: str | None = "-1"
        for _ in range(5):
            answer = cache.ask(f"?offset={offset}{query}")
            ids += answer.ids
            said.append(answer.cache)
            offset = answer.next_offset
        return ids, said

    def check() -> None:
        with cached(site) as cache:
            for query, expected in (("", shown), ("&author=1", [id_ for id_ in shown if id_ % 2])):
                assert read(cache, query) == (expected, ["MISS"] * 5)
                before = cache.asked()
                assert read(cache, query) == (expected, ["MISS", "HIT", "HIT", "HIT", "MISS"])
                assert cache.asked() == before + 2

    await asyncio.to_thread(check)


async def test_a_stranger_gets_nothing_of_a_reader_with_a_token(site: Site) -> None:
    """In either order: what a client with a token gets is kept by nobody, and it gets nothing that was kept.

    Of two readers whose tokens allow different posts neither gets the other's.
    """
    await site.show(25)
    first, second = ([11, 13, 15, 17, 19], list(range(11, 21)))
    readers = {
        # All, odd ones, and none; see _record.
        signed({"sub": "all"}): second,
        signed({"sub": "some", "postcast": {"authors": [1]}}): first,
        signed({"sub": "none", "postcast": {"authors": []}}): [],
    }

    def check() -> None:
        with cached(site) as cache:
            start = cache.ask("").next_offset

            def read_all() -> None:
                for token, ids in readers.items():
                    for way in (
                        {"Authorization": f"Bearer {token}"},
                        {_PROTOCOLS: f"postcast.v1, postcast.token.{token}"},
                    ):
                        answer = cache.ask(f"?offset={start}", **way)
                        assert (answer.status, answer.ids) == (200, ids)
                        assert (answer.cache, answer.kept) == ("MISS", "private, no-store")
                refused = cache.ask(f"?offset={start}", Authorization="Bearer a.b.c")
                assert (refused.status, refused.kept) == (401, "no-store")

            read_all()
            stranger = cache.ask(f"?offset={start}")
            assert (stranger.status, stranger.ids, stranger.cache) == (200, second, "MISS")
            assert stranger.kept == "public, max-age=31536000, immutable"
            for _ in range(2):
                kept = cache.ask(f"?offset={start}")
                assert (kept.ids, kept.cache) == (second, "HIT")
                read_all()

    await asyncio.to_thread(check)


async def test_nothing_that_may_change_is_kept(site: Site) -> None:
    """The beginning, the end, a long poll in vain, what is gone, what is refused."""
    await site.show(25)

    def check() -> None:
        with cached(site) as cache:
            for query, method, status in (
                ("", "GET", 200),
                ("?offset=now", "GET", 200),
                ("", "HEAD", 200),
                ("?offset=now&live=long-poll", "GET", 204),
                ("?offset=nothing", "GET", 400),
                ("?offset=00000000063a00000000000000000000", "GET", 410),
                ("", "POST", 405),
            ):
                for _ in range(2):
                    answer = cache.ask(query, method)
                    assert (answer.status, answer.kept) == (status, "no-store"), query
                    assert answer.cache in {"MISS", None}, query

    await asyncio.to_thread(check)
