"""A worker is killed, somewhere and exactly where a promise changes hands: nothing is lost, nothing shown twice."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from integration import topics
from integration.author import author_of
from integration.clients import connect
from integration.conftest import Install
from integration.posts_service import NewPost
from integration.system import Process, System
from integration.topics import Placed

CRASHING = "integration.worker"


@pytest.fixture(scope="module")
def _system(install_for_module: Install) -> System:
    system = install_for_module(WINDOW_SECONDS=2)
    # The first worker may die before it could make the topics, and an edge is not ready without its feed.
    asyncio.run(topics.create(system.environment["KAFKA_URL"], {system.created: 8, system.feed: 1, system.dead: 1}))
    system.edge().until_ready()
    return system


@pytest.fixture
def system(_system: System) -> Iterator[System]:
    """Lend an installation with an edge; its workers end with the test."""
    yield _system
    for worker in _system.processes[1:]:
        worker.terminate()
    del _system.processes[1:]


@pytest.fixture
def edge(system: System) -> Process:
    """Lend its edge."""
    return system.processes[0]


Doomed = Callable[..., tuple[Process, Path]]


@pytest.fixture
def doomed(system: System, tmp_path: Path) -> Doomed:
    """Start workers that kill themselves at a named point; the file is there once that has happened."""

    def start(point: str, count: int = 1) -> tuple[Process, Path]:
        marker = tmp_path / point
        return system.worker(CRASHING, CRASH_POINT=point, CRASH_COUNT=count, CRASH_MARKER=marker), marker

    return start


def _died_at(worker: Process, marker: Path) -> None:
    """Wait until a worker has killed itself, and see that it was there."""
    assert worker.until_ended(patience=60) == -9
    assert marker.exists()


async def _all_released(system: System) -> None:
    """Wait until the worker has released all that it has read."""
    kafka_url = system.environment["KAFKA_URL"]
    async with asyncio.timeout(120):
        while await topics.unreleased(kafka_url, system.created, system.name):
            pass


async def _feed_ids(system: System) -> list[int]:
    feed = await topics.feed_records(system.environment["KAFKA_URL"], system.feed)
    return [publication.id for record in feed for publication in record.publications]


async def test_killed_in_mid_window_it_loses_and_repeats_nothing(
    system: System, edge: Process, owner: dict[str, str]
) -> None:
    """What was gathered and not yet published is read again by the next worker."""
    worker = system.worker()
    async with author_of(system, owner) as author:
        await asyncio.to_thread(worker.until_ready)
        async with await connect(edge.websocket) as client:
            published = await author.publish(20)
            await client.until_shown(20)
            is_held = False
            while not is_held:
                published += await author.publish(30)
                looked_until = time.monotonic() + 1
                # Those that came at a window's end are held for a moment only.
                while not is_held and time.monotonic() < looked_until:
                    is_held = await asyncio.to_thread(worker.metric, "postcast_held_ids", kind="live") > 0
            worker.kill()
            published += await author.publish(10)
            system.worker()
            await client.until_shown(len(published), patience=60)
            await _all_released(system)
            assert sorted(client.ids) == sorted(published)
            assert client.posts == await author.expected(client.ids)


async def test_killed_between_publishing_and_release_it_shows_nothing_twice(
    system: System, edge: Process, owner: dict[str, str], doomed: Doomed
) -> None:
    """The feed then holds the window twice, and every client gets each post once."""
    async with author_of(system, owner) as author, await connect(edge.websocket) as client:
        published = await author.publish(25)
        await asyncio.to_thread(_died_at, *doomed("feed.confirmed"))
        await client.until(lambda: bool(client.raw), "what was published before the end")
        once = [id_ for id_ in await _feed_ids(system) if id_ in published]
        assert once
        await client.until(lambda: set(once) <= set(client.ids), "all of that")
        assert set(once) == set(client.ids)

        system.worker()
        await client.until_shown(25, patience=60)
        published += await author.publish(1)
        await client.until_shown(26)
        await _all_released(system)
        counts = Counter(id_ for id_ in await _feed_ids(system) if id_ in published)
        assert counts == Counter(published) + Counter(once)
        assert sorted(client.ids) == sorted(published)


async def test_killed_between_confirmation_and_acknowledgement_it_shows_nothing_twice(
    system: System, edge: Process, owner: dict[str, str], doomed: Doomed
) -> None:
    """RabbitMQ delivers again what Kafka has already; posts.created then holds it twice, and clients get it once."""
    async with author_of(system, owner) as author, await connect(edge.websocket) as client:
        published = await author.publish(40)
        await asyncio.to_thread(_died_at, *doomed("bridge.confirmed", 20))
        system.worker()
        await client.until_shown(40, patience=60)
        published += await author.publish(1)
        await client.until_shown(41)
        created = await topics.created_records(system.environment["KAFKA_URL"], system.created)
        counts = Counter(post for record in created for post in record.ids if post in published)
        assert set(counts) == set(published)
        assert max(counts.values()) == 2
        assert sorted(client.ids) == sorted(published)


async def test_killed_between_a_retry_and_the_release_of_what_it_retries_it_loses_nothing(
    system: System, edge: Process, owner: dict[str, str], doomed: Doomed
) -> None:
    """Both are looked up then: the announcement once more, and its retry; the post is shown once."""
    async with author_of(system, owner) as author, await connect(edge.websocket) as client:
        [late] = await author.reserve()
        await author.announce(late)
        await asyncio.to_thread(_died_at, *doomed("retry.confirmed"))
        await author.insert_as(late)
        system.worker()
        await client.until_shown(1, patience=60)
        await _all_released(system)
        published = [late, *await author.publish(1)]
        await client.until_shown(2)
        created = await topics.created_records(system.environment["KAFKA_URL"], system.created)
        assert sorted(record.attempt for record in created if late in record.ids) == [0, 1]
        assert client.ids == published


async def test_killed_between_two_records_of_one_window_it_shows_the_rest_and_nothing_twice(
    system: System, edge: Process, owner: dict[str, str], doomed: Doomed
) -> None:
    """A window too large for one record of the feed is repeated whole; clients get its beginning once, then its end."""
    kafka_url = system.environment["KAFKA_URL"]
    async with author_of(system, owner) as author, await connect(edge.websocket) as client:
        long = NewPost("x" * 500, datetime(2026, 1, 1), owner_id=1)
        published = await author.insert_posts([long] * 1000)
        now = round(time.time() * 1000)
        await topics.place(kafka_url, system.created, [Placed(0, now, id_) for id_ in published])
        await asyncio.to_thread(_died_at, *doomed("feed.split"))
        beginning = [id_ for id_ in await _feed_ids(system) if id_ in published]
        assert beginning == published[: len(beginning)]
        assert 0 < len(beginning) < 1000

        system.worker()
        await client.until_shown(1000, patience=60)
        published += await author.publish(1)
        await client.until_shown(1001)
        assert client.ids == published
        await _all_released(system)
        again = [id_ for id_ in await _feed_ids(system) if id_ in published][len(beginning) :]
        # Records that were read when their window had closed are a batch of their own, which may have been released.
        assert again == published[len(published) - len(again) :]
        assert len(published) - len(again) < len(beginning)


async def test_killed_while_partitions_are_taken_from_it_another_worker_goes_on(
    system: System, edge: Process, owner: dict[str, str], doomed: Doomed
) -> None:
    """A rebalance in the middle of a window, which one of the two does not survive."""
    async with author_of(system, owner) as author, await connect(edge.websocket) as client:
        dying, marker = doomed("partitions.revoked", 2)
        await asyncio.to_thread(dying.until_ready)
        published = await author.publish(30)
        successor = system.worker()
        await asyncio.to_thread(_died_at, dying, marker)
        published += await author.publish(30)
        await client.until_shown(60, patience=60)
        await asyncio.to_thread(successor.until_ready)
        published += await author.publish(1)
        await client.until_shown(61)
        assert sorted(client.ids) == sorted(published)
