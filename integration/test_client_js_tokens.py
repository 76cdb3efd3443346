"""The JavaScript client with tokens that expire within seconds, in Node, Chromium and Firefox, on real edges."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from edge.positions.device import Key
from edge.positions.postgres import PostgresStore
from integration import firefox, npm, tokens, topics, viewers
from integration.conftest import Install
from integration.database import Database
from integration.fed import Feed
from integration.ordeals import start_again
from integration.stored import until_stored
from integration.system import Process, System
from integration.tokens import Issuer
from runtime.database_url import parse

SHORT: Final = 6.0
"""For so many seconds tokens are good; an edge says after half of it that they expire, and ends sessions 30 s later."""
LAST: Final = SHORT - 30.0
"""The tokens of an issuer whose clock is late: they are taken for 6 s more."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm.install(tmp_path_factory.mktemp("npm"), viewers.WS, npm.NODE_22, firefox.PUPPETEER)


@pytest.fixture
def system(install: Install) -> System:
    """Two edges that ask for tokens, and a feed that no worker writes. Pages are of the first one."""
    system = install(
        HEARTBEAT_SECONDS=10, LONG_POLL_SECONDS=2, DRAIN_SECONDS=2, AUTH_REQUIRED="true", JWT_SECRET_KEY=tokens.SECRET
    )
    asyncio.run(topics.create(system.environment["KAFKA_URL"], {system.feed: 1}))
    for edge in [system.edge(), system.edge()]:
        edge.until_ready()
    return system


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with tokens.issuing() as giving:
        yield giving


def viewing(kind: str, folder: Path, system: System, **options: Any) -> Any:
    """Follow the second edge's feed."""
    origin, edge = system.processes
    return viewers.viewing(kind, folder, f"http://127.0.0.1:{origin.port}", edge.websocket, options)


async def _follow_over_tokens(feed: Feed, viewer: viewers.Viewer, issuer: Issuer, tokens: int) -> None:
    """Show posts with each of so many tokens, and wait until all of them were shown."""

    async def until_given(number: int) -> None:
        await viewer.until(lambda: len(issuer.given) >= number, f"token {number}")

    await viewer.until(lambda: viewer.state == "live", "live")
    for number in range(2, tokens + 1):
        await feed.show(2)
        await until_given(number)
    await feed.until_shown(viewer)


@pytest.mark.parametrize("kind", viewers.KINDS)
async def test_a_connection_outlives_its_tokens(system: System, folder: Path, issuer: Issuer, kind: str) -> None:
    """Each is renewed on the open connection before it expires, and nothing is missed meanwhile."""
    feed, issuer.seconds = Feed(system), SHORT
    async with viewing(kind, folder, system, tokenUrl=issuer.url) as viewer:
        await _follow_over_tokens(feed, viewer, issuer, 5)
        assert (viewer.state, viewer.errors, viewer.gaps, len(viewer.sessions)) == ("live", [], [], 1)


@pytest.mark.parametrize("kind", viewers.KINDS)
async def test_a_token_that_runs_out_is_said_and_the_next_one_goes_on_there(
    system: System, folder: Path, issuer: Issuer, kind: str
) -> None:
    """While nobody gives tokens the client says so, and waits; what it missed comes with the next one."""
    feed, issuer.seconds = Feed(system), LAST
    async with viewing(kind, folder, system, tokenUrl=issuer.url, transports=["websocket"]) as viewer:
        await viewer.until(lambda: viewer.state == "live", "live")
        await feed.show(2)
        await feed.until_shown(viewer)
        issuer.is_away = True
        await viewer.until(lambda: ("state", "waiting 4501") in viewer.said, "its token has run out")
        await viewer.until(lambda: bool(viewer.errors), "told that there is no token")
        await feed.show(3)
        issuer.is_away = False
        await feed.until_shown(viewer)
        assert (viewer.gaps, len(viewer.sessions)) == ([], 2)


@pytest.mark.parametrize("kind", viewers.KINDS)
async def test_who_polls_shows_a_token_and_gets_another_when_it_has_run_out(
    system: System, folder: Path, issuer: Issuer, kind: str
) -> None:
    feed, issuer.seconds = Feed(system), LAST
    async with viewing(kind, folder, system, tokenUrl=issuer.url, transports=["long-polling"]) as viewer:
        await _follow_over_tokens(feed, viewer, issuer, 3)
        assert (viewer.gaps, viewer.errors) == ([], [])


@pytest.mark.parametrize("transport", ["websocket", "long-polling"])
@pytest.mark.parametrize("kind", viewers.KINDS)
async def test_a_refused_token_is_final_where_there_is_no_other(
    system: System, folder: Path, kind: str, transport: str
) -> None:
    bad = tokens.token(secret=tokens.SECRET[::-1])
    for token in ({"token": bad}, {}):
        async with viewing(kind, folder, system, transports=[transport], **token) as viewer:
            await viewer.until(lambda viewer=viewer: viewer.state == "closed", "refused")
            assert (viewer.code, viewer.sessions) == (4501, [])


@pytest.mark.parametrize("kind", viewers.KINDS)
async def test_nothing_is_lost_over_edges_that_are_killed_and_drained_while_tokens_expire(
    system: System, folder: Path, issuer: Issuer, kind: str
) -> None:
    feed, issuer.seconds, edge = Feed(system), SHORT, system.processes[1]
    async with viewing(kind, folder, system, tokenUrl=issuer.url) as viewer:
        await viewer.until(lambda: viewer.state == "live", "live")
        await feed.show(2)
        await feed.until_shown(viewer)

        edge.kill()
        await feed.show(2)
        await viewer.until(lambda: viewer.state != "live", "the connection is given up")
        await start_again(edge)
        await feed.until_shown(viewer)

        assert await asyncio.to_thread(edge.terminate) == 0
        await feed.show(2)
        await viewer.until(lambda: viewer.state != "live", "the connection is given up")
        await start_again(edge)
        await feed.show(1)
        await feed.until_shown(viewer)
        assert viewer.gaps == []


@pytest.mark.parametrize("kind", viewers.KINDS)
async def test_a_renewed_token_that_allows_something_else_shows_that_from_the_next_post_on(
    system: System, folder: Path, issuer: Issuer, kind: str
) -> None:
    feed, others = Feed(system), Feed(system)
    issuer.seconds, issuer.claims = SHORT, {"postcast": {"authors": [7]}}
    async with viewing(kind, folder, system, tokenUrl=issuer.url) as viewer:
        await viewer.until(lambda: viewer.state == "live", "live")
        await others.show(2, author=8)
        await feed.show(2, author=7)
        await feed.until_shown(viewer)
        given, issuer.claims = len(issuer.given), {"postcast": {"authors": [8]}}
        await viewer.until(lambda: len(issuer.given) > given, "the next token")
        while viewer.state == "live" and not viewer.ids[len(feed.ids) :]:
            await others.show(1, author=8)
            await viewer.look()
        await others.show(1, author=7)
        await feed.show(1, author=8)
        await viewer.until(lambda: viewer.ids[-1:] == feed.ids[-1:], "the last post")
        assert len(viewer.sessions) == 1
        assert not {*others.ids[:2], others.ids[-1]} & {*viewer.ids}


@pytest.mark.parametrize("kind", viewers.KINDS)
async def test_a_device_goes_on_where_it_acknowledged_on_another_edge(
    install: Install, database: Database, folder: Path, issuer: Issuer, kind: str
) -> None:
    """It keeps nothing itself: the edges do, for who has signed in, and for no other device."""
    store = PostgresStore(parse(database.url))
    await store.create()
    system = install(JWT_SECRET_KEY=tokens.SECRET, POSITIONS_URL=database.url, ACK_SECONDS=0.2, DRAIN_SECONDS=2)
    await topics.create(system.environment["KAFKA_URL"], {system.feed: 1})
    edges = [system.edge(), system.edge()]
    for edge in edges:
        await asyncio.to_thread(edge.until_ready)
    feed, origin = Feed(system), f"http://127.0.0.1:{edges[0].port}"
    phone = {"tokenUrl": issuer.url, "transports": ["websocket"], "device": "phone"}

    async def until_all_stored(edge: Process) -> None:
        """Wait until the place behind the last post, which this edge has shown, is stored."""
        posts = f"http://127.0.0.1:{edge.port}/posts"
        async with aiohttp.ClientSession() as session, session.head(posts) as answer:
            await until_stored(store, Key("alice", "phone"), answer.headers["Stream-Next-Offset"])

    try:
        async with viewers.viewing(kind, folder, origin, edges[0].websocket, phone) as viewer:
            await viewer.until(lambda: viewer.state == "live", "live")
            await feed.show(3)
            await feed.until_shown(viewer)
            await until_all_stored(edges[0])
        seen = len(feed.ids)
        await feed.show(2)
        async with viewers.viewing(kind, folder, origin, edges[1].websocket, phone) as viewer:
            await viewer.until(lambda: viewer.ids == feed.ids[seen:], "what it missed, and nothing else")
            await until_all_stored(edges[1])
            assert (viewer.gaps, viewer.errors) == ([], [])
        async with viewers.viewing(kind, folder, origin, edges[1].websocket, {**phone, "device": "tablet"}) as viewer:
            await viewer.until(lambda: viewer.state == "live", "live")
            await feed.show(1)
            await viewer.until(lambda: viewer.ids == feed.ids[-1:], "what comes from now on")
    finally:
        await store.close()
