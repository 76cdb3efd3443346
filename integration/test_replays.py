"""What an edge has no more in memory comes from Kafka: over restarts, over retention, and without a seam."""

import asyncio
import socket
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec
import pytest
import websockets
from aiokafka import AIOKafkaProducer

from integration import topics
from integration.clients import Client, connect
from integration.conftest import Install, lacking
from integration.faults import logs
from integration.system import System
from streams.contract import FeedRecord, Publication, encode_feed

REACH: Final = 1_000
DAY_MS: Final = 86_400_000


def record(*ids: int) -> bytes:
    """Encode a record of the feed with these posts."""
    publications = [Publication("created", id_, msgspec.Raw(msgspec.json.encode({"id": id_}))) for id_ in ids]
    return encode_feed(FeedRecord(window=0, publications=publications))


async def write(system: System, records: Sequence[bytes], *, seconds_apart: float = 0, ages: float = 0) -> None:
    """Write records in batches of their own, with timestamps so far apart, the first of them so many seconds old."""
    first = time.time() - ages
    producer = AIOKafkaProducer(bootstrap_servers=system.environment["KAFKA_URL"].removeprefix("kafka://"))
    async with producer:
        for number, value in enumerate(records):
            at = round(1000 * (first + number * seconds_apart))
            await producer.send_and_wait(system.feed, value, partition=0, timestamp_ms=at)


async def cursors(system: System, count: int) -> list[str]:
    """Have an edge with all history show so many posts; return the cursor behind each of them, and end it."""
    edge = system.edge(HISTORY_RECORDS=100_000)
    await asyncio.to_thread(edge.until_ready)
    async with await connect(edge.websocket, query=f"?history={count}") as client:
        await client.until_shown(count, patience=120)
        found = [message["cursor"] for message in client.messages if message["action"] == "created"]
    await asyncio.to_thread(edge.kill)
    return found


async def caught_up(client: Client, last: int) -> list[int]:
    """Return what a client was shown up to a post."""
    await client.until_last(last)
    assert client.welcome["recovered"] is True
    return client.ids


async def made(install: Install, records: Sequence[bytes]) -> System:
    """Make an installation with a feed that has these records."""
    system = install()
    await topics.create(system.environment["KAFKA_URL"], {system.feed: 1})
    await write(system, records)
    return system


async def test_a_log_of_one_record_and_a_thousand_back_with_repeats_on_the_borders(install: Install) -> None:
    """Each post once: where the log begins, where the replay begins, and as far back as repeats are known."""
    count = 2 * REACH + 200
    # Each record shows the post of its number, and repeats the one before it, and one as far back as is known.
    feed = [[n, *([n - 1] if n else []), *([n - REACH] if n >= REACH else [])] for n in range(count)]
    # One that was last repeated one record further back is shown again.
    again = count - 50
    feed[again].append(again - 2 * REACH - 1)
    shown = [post for n in range(count) for post in ([n, n - 2 * REACH - 1] if n == again else [n])]
    system = await made(install, [record(*posts) for posts in feed])
    found = await cursors(system, len(shown))
    assert len(set(found)) == len(shown)

    edge = system.edge(HISTORY_RECORDS=1)
    await asyncio.to_thread(edge.until_ready)
    assert edge.metric("postcast_edge_log_posts") == 1
    for back in (REACH, count - 1, 2, 1):
        async with await connect(edge.websocket, query=f"?cursor={found[-1 - back]}") as client:
            assert await caught_up(client, count - 1) == shown[-back:]
            got = [message["cursor"] for message in client.messages if message["action"] == "created"]
            assert got == found[-back:]
            await write(system, [record(count, count - 1)])
            count, shown = count + 1, [*shown, count]
            await client.until_last(count - 1)
            assert client.ids == shown[-back - 1 :]
            found.append(client.cursor)
    assert edge.metric("postcast_edge_resumes_total", outcome="replayed") == 2
    assert edge.metric("postcast_edge_resumes_total", outcome="recovered") == 2


async def test_many_that_come_back_share_one_reader_and_a_cursor_holds_over_a_restart_of_all_edges(
    install: Install,
) -> None:
    """Each gets everything once, and Kafka is read once for all of them; what comes meanwhile is live."""
    system = await made(install, [record(n) for n in range(1_500)])
    found = await cursors(system, 1_500)
    edge = system.edge(HISTORY_RECORDS=10)
    await asyncio.to_thread(edge.until_ready)
    backs = [400 + number % 5 for number in range(50)]
    clients = await asyncio.gather(*(connect(edge.websocket, query=f"?cursor={found[-1 - back]}") for back in backs))
    await write(system, [record(1_500)])
    for client, back in zip(clients, backs, strict=True):
        assert await caught_up(client, 1_500) == list(range(1_500 - back, 1_501))
        await client.close()
    read = edge.metric("postcast_edge_replay_records_total")
    # 400 records, those of the fastest neighbours, and 1,000 for repeats.
    assert read <= 400 + 100 + REACH
    assert edge.metric("postcast_edge_replays_begun_total") == 1
    await asyncio.to_thread(edge.until, lambda: edge.metric("postcast_edge_replays") == 0, "has ended its replay")
    assert edge.metric("postcast_edge_replay_readers") == 0


async def test_what_retention_has_removed_is_told_and_all_but_the_oldest_day_can_be_had(install: Install) -> None:
    """``CLIENTS.md``: 50 records are left of a slow feed, far fewer than 1,000."""
    system = install()
    kafka_url = system.environment["KAFKA_URL"]
    await topics.create(kafka_url, {system.feed: 1})
    # Two and a half days, 24 records a day; 2.5 days before now, so that Kafka's own retention leaves them alone.
    await write(system, [record(n) for n in range(60)], seconds_apart=3_600, ages=60 * 3_600)
    found = await cursors(system, 60)
    try:
        await logs.cut(kafka_url, system.feed, before=10)
    except Exception as error:  # noqa: BLE001 - whatever a broker says that cannot do it
        lacking(f"this broker removes no records: {error!r}")
    edge = system.edge(HISTORY_RECORDS=1)
    await asyncio.to_thread(edge.until_ready)
    # Record 10 is the oldest; 24 hours later is record 34, and the first that is more than a day younger is record 35.
    async with await connect(edge.websocket, query=f"?cursor={found[34]}") as client:
        assert await caught_up(client, 59) == list(range(35, 60))
    for cursor in (found[33], found[10], found[5]):
        async with await connect(edge.websocket, query=f"?cursor={cursor}") as client:
            await client.until_welcome()
            assert client.welcome["reason"] == "expired"
    # An edge that starts offers the same as history.
    other = system.edge()
    await asyncio.to_thread(other.until_ready)
    async with await connect(other.websocket, query="?history=1000") as client:
        assert await caught_up(client, 59) == list(range(35, 60))


async def test_clients_of_more_places_than_there_are_replays_are_told_when_to_come_back(install: Install) -> None:
    """503 with ``Retry-After``, and the cursor is as good as before."""
    system = await made(install, [record(*range(20 * n, 20 * n + 20)) for n in range(3_000)])
    found = await cursors(system, 60_000)
    edge = system.edge(HISTORY_RECORDS=10, MAX_REPLAYS=1, REPLAY_BYTES=4 * 1024 * 1024)
    await asyncio.to_thread(edge.until_ready)
    with socket.socket() as small:
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        small.connect(("127.0.0.1", edge.port))
        # It takes next to nothing of what it is sent.
        async with websockets.connect(f"{edge.websocket}?cursor={found[2_000]}", sock=small, max_queue=1):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await connect(edge.websocket, query=f"?cursor={found[40_000]}")
            assert refused.value.response.status_code == 503
            assert 2 <= int(refused.value.response.headers["Retry-After"]) <= 10
            assert edge.metric("postcast_edge_replays_refused_total", bound="replays") == 1
            small.shutdown(socket.SHUT_RDWR)
    await asyncio.to_thread(edge.until, lambda: edge.metric("postcast_edge_replays") == 0, "has ended its replay")
    async with await connect(edge.websocket, query=f"?cursor={found[40_000]}") as client:
        got = await caught_up(client, 59_999)
        assert all(later == earlier + 1 for earlier, later in pairwise(got))
        assert got[0] == 40_001
