"""Law 3 and its neighbours: clocks that are wrong, backlogs, and windows as large as they get."""

import asyncio
import json
import os
import random
import time
from collections.abc import Sequence
from typing import Final

from integration import topics
from integration.author import author_of
from integration.clients import Client, connect
from integration.conftest import Install
from integration.system import Process, System
from integration.topics import Placed
from streams.contract import PostId
from streams.publisher import partition_of

HOUR_MS: Final = 3_600_000
PARTITIONS: Final = 8
BACKLOG: Final = int(os.environ.get("POSTCAST_BACKLOG", "50000"))
"""Records of the large backlog; 500,000 take minutes."""
LIVE: Final = 200
WINDOW_SECONDS: Final = 2
STATEMENTS_SECONDS: Final = 4


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_a_clock_that_is_an_hour_wrong_stops_and_loses_nothing(shared: System, owner: dict[str, str]) -> None:
    """Ahead and behind, on partitions of their own and among records with the right time."""
    # Half a minute less than the hour which a Kafka broker takes from the future at most.
    ahead, behind = _now_ms() + HOUR_MS - 30_000, _now_ms() - HOUR_MS
    async with author_of(shared, owner) as author, await connect(shared.processes[1].websocket) as client:
        ids = await author.insert(80)
        stamps = (ahead, behind, _now_ms(), ahead, _now_ms(), behind)
        await topics.place(
            shared.environment["KAFKA_URL"],
            shared.created,
            [Placed(number % 5, stamps[number % 6], id_) for number, id_ in enumerate(ids)],
        )
        ids += await author.publish(20)
        await client.until_shown(100)
        ids += await author.publish(1)
        await client.until_shown(101)
        assert sorted(client.ids) == sorted(ids)
        assert client.ids[-1] == ids[-1]


async def _most_held(worker: Process, enough: asyncio.Event) -> float:
    """Watch how many ids a worker holds until somebody has seen enough."""
    most = 0.0
    while not enough.is_set():
        held = [await asyncio.to_thread(worker.metric, "postcast_held_ids", kind=kind) for kind in ("live", "overdue")]
        most = max(most, sum(held))
    return most


async def test_a_backlog_of_an_hour_on_one_partition_flows_beside_what_is_live(
    install: Install, owner: dict[str, str]
) -> None:
    """And the worker never holds more than it may, although one of the backlog's windows alone is larger."""
    system = install(MAX_HELD=200)
    kafka_url = system.environment["KAFKA_URL"]
    await topics.create(kafka_url, {system.created: PARTITIONS, system.feed: 1, system.dead: 1})
    edge = system.edge()
    async with author_of(system, owner) as author:
        backlog = await author.insert(900)
        begin = _now_ms() - HOUR_MS
        # A record every ten seconds, and 540 in one window in the middle.
        stamps = [begin + 10_000 * min(number, max(180, number - 540)) for number in range(900)]
        placed = [Placed(0, stamp, id_) for stamp, id_ in zip(stamps, backlog, strict=True)]
        await topics.place(kafka_url, system.created, placed)
        await asyncio.to_thread(edge.until_ready)
        async with await connect(edge.websocket) as client:
            enough = asyncio.Event()
            worker = system.worker()
            live = await author.publish(50)
            watching = asyncio.create_task(_most_held(worker, enough))
            await client.until_shown(950, patience=60)
            live += await author.publish(50)
            await client.until_shown(1000)
            enough.set()
            most = await watching
    assert sorted(client.ids) == sorted(backlog + live)
    assert [id_ for id_ in client.ids if id_ in set(backlog)] == backlog
    # At MAX_HELD the partition with the backlog is paused, and the live posts come on top.
    assert 0 < most <= 300


def _grouped(records: Sequence[int], begin: int, end: int) -> list[Placed]:
    """Spread ids over a time, on the first partition."""
    step = (end - begin) / len(records)
    return [Placed(0, begin + round(number * step), id_) for number, id_ in enumerate(records)]


async def test_live_posts_do_not_wait_for_a_backlog_of_an_hour_and_that_is_completed_in_large_statements(
    install: Install, owner: dict[str, str]
) -> None:
    """Law 5: a live post is shown a window and a second after its announcement, and two statements later at most."""
    system = install(WINDOW_SECONDS=WINDOW_SECONDS)
    kafka_url = system.environment["KAFKA_URL"]
    await topics.create(kafka_url, {system.created: PARTITIONS, system.feed: 1, system.dead: 1})
    edge = system.edge()
    async with author_of(system, owner) as author:
        backlog = await author.insert(BACKLOG)
        live = [id_ for id_ in await author.insert(2 * LIVE) if partition_of(PostId(id_), range(PARTITIONS))][:LIVE]
        await topics.place(kafka_url, system.created, _grouped(backlog, _now_ms() - HOUR_MS, _now_ms() - 60_000))
        await asyncio.to_thread(edge.until_ready)
        async with await connect(edge.websocket) as client:
            worker = system.worker()
            await asyncio.to_thread(worker.until_ready)
            shown = asyncio.create_task(_shown_at(client, len(backlog) + len(live)))
            announced: dict[int, float] = {}
            held_up = 0.0
            for id_ in live:
                announced[id_] = time.monotonic()
                await author.announce(id_)
                await asyncio.sleep(0.1)
                held_up = max(held_up, time.monotonic() - announced[id_] - 0.1)
            # What is slow for a while without us is slow for the worker, too.
            while not shown.done():
                looked = time.monotonic()
                await asyncio.sleep(0.1)
                held_up = max(held_up, time.monotonic() - looked - 0.1)
            at = await shown
            batches = await asyncio.to_thread(worker.metric, "postcast_batches_total")
            until_released = time.monotonic() + 30
            while await topics.unreleased(kafka_url, system.created, system.name):
                assert time.monotonic() < until_released
    late = sorted(at[id_] - announced[id_] for id_ in live)
    print(f"live posts after {late[len(late) // 2]:.1f} s (median), {late[-1]:.1f} s (most); {batches:.0f} batches")
    shown_ids, old = client.ids, set(backlog)
    assert sorted(shown_ids) == sorted(backlog + live)
    assert [id_ for id_ in shown_ids if id_ in old] == backlog
    # Statements of a busy machine included, and what held this test up holds up the worker beside it.
    assert late[-1] <= WINDOW_SECONDS + 1 + STATEMENTS_SECONDS + 2 * held_up
    # One for each of the old windows would be hundreds.
    assert batches <= LIVE / 10 / WINDOW_SECONDS + BACKLOG / 500
    assert worker.is_alive()


async def _shown_at(client: Client, count: int) -> dict[int, float]:
    """Return when each post was shown."""
    at: dict[int, float] = {}
    read = 0
    while len(at) < count:
        await client.until_shown(read + 1, patience=120)
        now, new = time.monotonic(), client.raw[read:]
        read += len(new)
        at |= dict.fromkeys((json.loads(text)["payload"]["id"] for text in new), now)
    return at


def _in_order(records: Sequence[Placed]) -> list[int]:
    """Sort a window's posts by event time, partition and offset (laws 3 and 5)."""
    offsets, largest = [0] * PARTITIONS, [0] * PARTITIONS
    keys: list[tuple[int, int, int, int]] = []
    for partition, timestamp, post in records:
        largest[partition] = max(largest[partition], timestamp)
        keys.append((largest[partition], partition, offsets[partition], post))
        offsets[partition] += 1
    return [post for *_, post in sorted(keys)]


async def test_windows_of_20000_and_of_50000_posts_are_shown_whole_and_in_order(
    install: Install, owner: dict[str, str]
) -> None:
    """Both have ended before the worker starts."""
    now = _now_ms() // 1000
    # Of some lengths, the one whose windows began last: so the end of the current one is far away.
    size = min((3600, 3000, 2400, 1800), key=lambda seconds: now % seconds)
    start = (now - now % size - 2 * size) * 1000
    system = install(WINDOW_SECONDS=size)
    kafka_url = system.environment["KAFKA_URL"]
    await topics.create(kafka_url, {system.created: PARTITIONS, system.feed: 1, system.dead: 1})
    edge = system.edge()
    async with author_of(system, owner) as author:
        ids = await author.insert(70_000)
    chance = random.Random(70_000)  # noqa: S311 - the same order each time, whatever it is
    chance.shuffle(ids)
    windows = [
        [Placed(chance.randrange(PARTITIONS), begin + chance.randrange(size * 1000), id_) for id_ in some]
        for begin, some in ((start, ids[:20_000]), (start + size * 1000, ids[20_000:]))
    ]
    for window in windows:
        await topics.place(kafka_url, system.created, window)
    await asyncio.to_thread(edge.until_ready)
    async with await connect(edge.websocket) as client:
        worker = system.worker()
        await client.until_shown(70_000, patience=240)
        assert client.ids == [id_ for window in windows for id_ in _in_order(window)]
        # It is counted when Kafka has confirmed it, which may be after it was shown.
        await asyncio.to_thread(worker.until, lambda: worker.metric("postcast_batches_total") >= 1 + 3, "counts them")
        assert await asyncio.to_thread(worker.metric, "postcast_batches_total") == 1 + 3
