"""Whoever means harm gets what the limits say, and who is connected gets every post meanwhile."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest
import websockets
from websockets.frames import Frame, Opcode

from integration import attackers, topics
from integration.attackers import Attacker
from integration.bench.posts import FIRST_ID, feed_record
from integration.clients import connect
from integration.conftest import Install
from integration.system import Process, System

_POSTS: Final = 30
_ATTACKERS: Final = 20
"""At a time; each begins anew when it has got what it gets."""
_HANDSHAKE_SECONDS: Final = 3
"""Shorter than a request of one byte a second takes, by far, and longer than a busy machine takes for a whole one."""


async def _edge(system: System, **variables: object) -> Process:
    """Start an edge that is ready; the feed is written by the tests themselves."""
    await topics.create(system.environment["KAFKA_URL"], {system.feed: 1})
    edge = system.edge(**{"HANDSHAKE_SECONDS": _HANDSHAKE_SECONDS, **variables})
    await asyncio.to_thread(edge.until_ready)
    return edge


@asynccontextmanager
async def _under_attack(port: int, attacker: Attacker) -> AsyncIterator[Counter[str]]:
    """Attack meanwhile; count what the attackers got."""
    over = asyncio.Event()
    got: Counter[str] = Counter()

    async def attack() -> None:
        while not over.is_set():
            got[await attacker(port)] += 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_ATTACKERS):
            tasks.create_task(attack())
        yield got
        over.set()


async def _expect_every_post(system: System, edge: Process, attacker: Attacker) -> Counter[str]:
    """Feed a client one post after the other during an attack; return what the attackers got."""
    ids = [FIRST_ID + number for number in range(_POSTS)]
    async with await connect(edge.websocket) as client, _under_attack(edge.port, attacker) as got:
        for number in ids:
            await topics.write(system.environment["KAFKA_URL"], system.feed, [feed_record([number])])
            # One at a time: each of them has come through the attack.
            await client.until_last(number)
        assert (client.ids, client.code) == (ids, None)
    return got


@pytest.mark.parametrize(
    ("attacker", "answer", "limit"),
    [
        (attackers.silent, "closed", "handshake"),
        (attackers.dripping, "408", "handshake"),
        (attackers.verbose, "431", "head"),
        (attackers.pinging, "1008 too many pings a second", "pings"),
        (attackers.bursting, "1009 a message of too many bytes", "message"),
        (attackers.fragmenting, "1008 a message of too many fragments", "fragments"),
        (attackers.chattering, "1008 too many messages a second", "messages"),
        (attackers.shouting, "1008 too many bytes a second", "bytes"),
    ],
    ids=["silent", "dripping", "verbose", "pinging", "bursting", "fragmenting", "chattering", "shouting"],
)
async def test_a_flood_gets_its_end_and_the_feed_goes_on(
    install: Install, attacker: Attacker, answer: str, limit: str
) -> None:
    """Each attacker gets the same, each is counted, and afterwards nothing of them is left."""
    system = install()
    edge = await _edge(system)
    got = await _expect_every_post(system, edge, attacker)
    assert got.keys() == {answer}
    assert edge.metric("postcast_edge_limited_total", limit=limit) == got.total()
    # This request itself is one.
    await asyncio.to_thread(edge.until, lambda: edge.metric("postcast_edge_sockets") == 1, "has let go of all")


async def test_a_flood_of_connects_is_let_in_and_out_and_the_feed_goes_on(install: Install) -> None:
    """Below the limit everybody is served, however many come and go."""
    system = install()
    edge = await _edge(system)
    got = await _expect_every_post(system, edge, attackers.joining)
    assert got.keys() == {"101"}
    assert edge.metric("postcast_edge_limited_total", limit="connections") == 0


@asynccontextmanager
async def _held(port: int, count: int) -> AsyncIterator[None]:
    """Hold connections from a stranger's address on which nothing is said."""
    opened = [
        (await asyncio.open_connection("127.0.0.1", port, local_addr=(attackers.STRANGER, 0)))[1] for _ in range(count)
    ]
    try:
        yield
    finally:
        for writer in opened:
            writer.close()


async def test_when_all_is_full_newcomers_are_told_and_the_feed_goes_on(install: Install) -> None:
    """503 for the first few, no answer for the rest of a flood; probes from elsewhere are answered."""
    system = install()
    # The time for a handshake is longer than the test, so that they all stay.
    edge = await _edge(system, MAX_CONNECTIONS=50, HANDSHAKE_SECONDS=60)
    async with await connect(edge.websocket) as client, _held(edge.port, 49):
        assert await attackers.joining(edge.port) == "503"
        # Whoever was told has a place until it is gone: these fifty, and who asks.
        await asyncio.to_thread(
            edge.until, lambda: edge.metric("postcast_edge_sockets") == 51, "has let go of who was told"
        )
        async with _held(edge.port, 4):
            assert await attackers.joining(edge.port) in {"closed", "reset"}
            assert (edge.ask("/livez")[0], edge.ask("/readyz")[0]) == (200, 200)
            assert edge.metric("postcast_edge_sockets_limit") == 50
            await topics.write(system.environment["KAFKA_URL"], system.feed, [feed_record([FIRST_ID])])
            await client.until_last(FIRST_ID)
    await asyncio.to_thread(edge.until, lambda: edge.metric("postcast_edge_sockets") == 1, "has let go of all")
    assert await attackers.joining(edge.port) == "101"


async def test_an_address_has_its_limit_and_others_theirs(install: Install) -> None:
    """429 for whoever has too many; somebody else is let in."""
    system = install()
    edge = await _edge(system, MAX_CONNECTIONS_PER_ADDRESS=5, HANDSHAKE_SECONDS=60)
    async with _held(edge.port, 5):
        assert await attackers.joining(edge.port) == "429"
        async with await connect(edge.websocket) as client:
            await topics.write(system.environment["KAFKA_URL"], system.feed, [feed_record([FIRST_ID])])
            await client.until_last(FIRST_ID)
    await asyncio.to_thread(edge.until, lambda: edge.metric("postcast_edge_sockets") == 1, "has let go of all")
    assert await attackers.joining(edge.port) == "101"


_STRICT: Final = {
    "MESSAGES_PER_SECOND": 3,
    "PINGS_PER_SECOND": 2,
    "BYTES_PER_SECOND": 1000,
    "MAX_MESSAGE_BYTES": 500,
    "MAX_FRAGMENTS": 4,
}
_MESSAGE: Final = Frame(Opcode.BINARY, bytes(500))
_PART: Final = Frame(Opcode.CONT, b"x", fin=False)


async def test_each_limit_is_what_its_setting_says(install: Install) -> None:
    """Up to it nothing happens, and one beyond it the session ends; ten seconds' worth may come at once."""
    edge = await _edge(install(), **_STRICT)
    got = [
        [await attackers.saying(edge.port, *frames) for frames in (within, beyond)]
        for within, beyond in (
            ([Frame(Opcode.TEXT, b"")] * 30, [Frame(Opcode.TEXT, b"")] * 31),
            ([Frame(Opcode.PING, b"")] * 20, [Frame(Opcode.PING, b"")] * 21),
            ([_MESSAGE] * 19, [_MESSAGE] * 25),
            ([_MESSAGE], [Frame(Opcode.BINARY, bytes(501))]),
            ([Frame(Opcode.TEXT, b"", fin=False), *[_PART] * 2, Frame(Opcode.CONT, b"")],
             [Frame(Opcode.TEXT, b"", fin=False), *[_PART] * 3, Frame(Opcode.CONT, b"")]),
        )
    ]  # fmt: skip
    assert got == [
        ["1000", "1008 too many messages a second"],
        ["1000", "1008 too many pings a second"],
        ["1000", "1008 too many bytes a second"],
        ["1000", "1009 a message of too many bytes"],
        ["1000", "1008 a message of too many fragments"],
    ]


async def test_behind_a_trusted_proxy_each_client_has_its_own_limit(install: Install) -> None:
    """In the header that the operator names; the other one is the client's to write."""
    edge = await _edge(
        install(), TRUSTED_PROXIES="127.0.0.0/8", PROXY_HEADER="forwarded", MAX_CONNECTIONS_PER_ADDRESS=1
    )

    async def come(client: str) -> str:
        headers = {"Forwarded": f"for=203.0.113.1, for={client}", "X-Forwarded-For": "203.0.113.2"}
        try:
            await opened.enter_async_context(websockets.connect(edge.websocket, additional_headers=headers))
        except websockets.InvalidStatus as refused:
            return str(refused.response.status_code)
        return "101"

    async with AsyncExitStack() as opened:
        assert [await come(client) for client in ("192.0.2.1", "192.0.2.2", "192.0.2.1")] == ["101", "101", "429"]


_AGE_SECONDS: Final = 3


async def test_a_connection_ends_at_its_age_and_a_client_with_a_cursor_misses_nothing(install: Install) -> None:
    """1001, a tenth earlier or later, so that clients that came at once do not leave at once; another edge has them."""
    system = install()
    edge = await _edge(system, MAX_AGE_SECONDS=_AGE_SECONDS)
    new = system.edge()
    await asyncio.to_thread(new.until_ready)
    shown: list[int] = []
    over = asyncio.Event()

    async def show() -> None:
        while not over.is_set():
            shown.append(FIRST_ID + len(shown))
            await topics.write(system.environment["KAFKA_URL"], system.feed, [feed_record(shown[-1:])])
            await asyncio.sleep(0.05)

    async with AsyncExitStack() as opened:
        plain = [await opened.enter_async_context(await connect(edge.websocket)) for _ in range(30)]
        one = await opened.enter_async_context(await connect(edge.websocket, asks=True))
        await one.until_welcome()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(show())
            assert await one.until_closed() == 1001
            again = await opened.enter_async_context(await connect(new.websocket, query=f"?cursor={one.cursor}"))
            assert [await client.until_closed() for client in plain] == [1001] * 30
            # The one with the cursor may be the last to be closed, and have got every post: one more is shown then.
            await again.until(lambda: bool(again.ids), "a post on the new edge")
            over.set()
        await again.until_last(shown[-1])
        assert again.welcome["recovered"]
        assert one.ids + again.ids == shown
    # A client sees its close before the edge sees the connection's end.
    edge.until(lambda: len(edge.events("session.closed")) == 31, "has ended 31 sessions")
    seconds = [event["seconds"] for event in edge.events("session.closed") if event["code"] == 1001]
    assert (len(seconds), min(seconds) > 0.85 * _AGE_SECONDS) == (31, True)
    assert max(seconds) - min(seconds) > 0.05 * _AGE_SECONDS
    assert edge.metric("postcast_edge_closes_total", by="server", code="1001") == 31
