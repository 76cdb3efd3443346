"""What one client does, or does not do, is nobody else's business. The feed is written by the tests themselves."""

import asyncio
import json
import socket
from collections.abc import Sequence
from itertools import count
from typing import Final

import msgspec
import pytest
import websockets

from integration import topics
from integration.clients import Client, connect
from integration.conftest import Install
from integration.system import Process, System
from streams.contract import FeedRecord, Publication, encode_feed
from tests.strict import StrictConnection

LARGEST_MESSAGE: Final = 64 * 1024
LIBRARIES: Final = ("websockets", "aiohttp")

_ids = count(1)


@pytest.fixture(scope="module")
def system(install_for_module: Install) -> System:
    """Two edges, and a feed that no worker writes."""
    system = install_for_module()
    asyncio.run(topics.create(system.environment["KAFKA_URL"], {system.feed: 1}))
    for edge in [system.edge(), system.edge()]:
        edge.until_ready()
    return system


@pytest.fixture
def edge(system: System) -> Process:
    """One of the edges."""
    return system.processes[0]


async def show(system: System, *records: Sequence[int], text: str = "") -> None:
    """Write records to the feed, each with these posts."""
    await topics.write(
        system.environment["KAFKA_URL"],
        system.feed,
        [
            encode_feed(
                FeedRecord(
                    window=0,
                    publications=[
                        Publication("created", id_, msgspec.Raw(msgspec.json.encode({"id": id_, "description": text})))
                        for id_ in ids
                    ],
                )
            )
            for ids in records
        ],
    )


def new_ids(number: int) -> list[int]:
    """Return ids that were not used before."""
    return [next(_ids) for _ in range(number)]


async def test_a_client_that_stops_reading_delays_nobody_and_gets_all_afterwards_in_order(
    system: System, edge: Process
) -> None:
    """More is shown than all buffers between it and the edge hold; others have it all while this one lags."""
    records = [new_ids(25) for _ in range(64)]
    ids = [id_ for record in records for id_ in record]
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    narrow.connect(("127.0.0.1", edge.port))
    # Its library stops reading the socket while so many messages wait for it.
    async with (
        websockets.connect(
            edge.websocket,
            sock=narrow,
            max_queue=1,
            ping_interval=None,
            compression=None,
            create_connection=StrictConnection,
        ) as slow,
        await connect(edge.websocket) as other,
    ):
        await show(system, *records, text="x" * 10_000)
        await other.until_shown(len(ids))
        assert await asyncio.to_thread(edge.metric, "postcast_edge_lagging") == 1
        assert other.ids == ids
        got = [json.loads(await slow.recv())["payload"]["id"] for _ in ids]
        assert got == ids
        [after] = new_ids(1)
        await show(system, [after])
        assert json.loads(await slow.recv())["payload"]["id"] == after


@pytest.mark.parametrize("library", LIBRARIES)
async def test_a_message_above_64_kib_ends_the_connection_with_1009(edge: Process, library: str) -> None:
    """Nothing that long is kept for anybody."""
    async with await connect(edge.websocket, library=library) as client:
        await client.send("x" * (LARGEST_MESSAGE + 1))
        assert await client.until_closed() == 1009


@pytest.mark.parametrize("library", LIBRARIES)
async def test_other_messages_are_ignored_and_pings_answered(system: System, edge: Process, library: str) -> None:
    """Text or not, JSON or not."""
    async with await connect(edge.websocket, library=library) as client:
        for message in ("", "{}", '{"action":"created"}', "x" * 60_000, b"\x00\xff", b""):
            await client.send(message)
        await client.ping()
        ids = new_ids(2)
        await show(system, ids)
        await client.until_shown(2)
        assert client.ids == ids
        assert client.code is None


async def test_a_message_of_64_kib_is_not_too_big(system: System, edge: Process) -> None:
    """It is the longest that is taken."""
    async with await connect(edge.websocket) as client:
        await client.send("x" * LARGEST_MESSAGE)
        ids = new_ids(1)
        await show(system, ids)
        await client.until(lambda: bool(client.raw) or client.code is not None, "the post or the end")
        assert (client.ids, client.code) == (ids, None)


async def test_every_edge_shows_the_same_posts_in_the_same_order(system: System) -> None:
    """Repeats within a record and across records; from the beginning or from history, whenever an edge started."""
    one, two, three = new_ids(3)
    async with (
        await connect(system.processes[0].websocket) as first,
        await connect(system.processes[1].websocket, asks=True, library="aiohttp") as second,
    ):
        await second.until_welcome()
        await show(system, [one, one], [two, one], [], [one], [three, two])
        await first.until_shown(3)
        await second.until_shown(3)
        latest = await asyncio.to_thread(system.edge().until_ready)
        async with await connect(latest.websocket, query="?history=3") as third:
            await third.until_shown(3)
            assert [client.ids for client in (first, second, third)] == [[one, two, three]] * 3
            assert [message["cursor"] for message in second.messages] == [m["cursor"] for m in third.messages]


async def test_a_record_that_is_none_is_passed_over(system: System, edge: Process) -> None:
    """What cannot be decoded shows nothing, and what follows it is shown."""
    [id_] = new_ids(1)
    async with await connect(edge.websocket) as client:
        await topics.write(system.environment["KAFKA_URL"], system.feed, [b"", b"{", b'{"window":0}', b"\xff"])
        await show(system, [id_])
        await client.until_shown(1)
        assert client.ids == [id_]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("?cursor=", "invalid"),
        ("?cursor=nonsense", "invalid"),
        ("?cursor=00000000063a00000000000000000000", "unknown"),  # the beginning of record 100,000
    ],
)
async def test_a_cursor_that_cannot_be_resumed_is_said_and_the_feed_goes_on_from_now(
    system: System, edge: Process, query: str, reason: str
) -> None:
    """Never in silence: the welcome gives the reason, and a cursor that is good."""
    async with await connect(edge.websocket, query=query) as client:
        await client.until_welcome()
        assert (client.welcome["recovered"], client.welcome["reason"]) == (False, reason)
        ids = new_ids(1)
        await show(system, ids)
        await client.until_shown(1)
        assert client.ids == ids
        resumed: Client
        async with await connect(edge.websocket, query=f"?cursor={client.welcome['cursor']}") as resumed:
            await resumed.until_shown(1)
            assert resumed.ids == ids
