"""SIGTERM under load, workers that come and go, edges that restart: nothing is lost to whoever has a cursor."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from integration import topics
from integration.author import Author, author_of
from integration.clients import connect
from integration.conftest import Install
from integration.system import Process, System

PAUSE_SECONDS: Final = 0.05
"""From one burst of the load to the next."""
PARTITIONS: Final = set(range(8))


@asynccontextmanager
async def _load(author: Author) -> AsyncIterator[list[int]]:
    """Publish a few posts at once, all the time; yield the list of what was published so far."""
    published: list[int] = []
    over = asyncio.Event()

    async def publish() -> None:
        while not over.is_set():
            published.extend(await author.publish(3))
            await asyncio.sleep(PAUSE_SECONDS)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publish())
        yield published
        over.set()


def _assigned(worker: Process) -> set[int]:
    """Return the partitions that a worker was assigned last."""
    events = worker.events("partitions.assigned")
    return set(events[-1]["partitions"]) if events else set()


def _publishes(worker: Process) -> None:
    """Wait until a worker has published posts of its own."""
    worker.until(lambda: worker.metric("postcast_posts_total") > 0, "publishes posts")


async def test_workers_share_the_work_and_come_and_go_under_load(install: Install, owner: dict[str, str]) -> None:
    """Two have all partitions between them and both release; one leaves on SIGTERM, another joins; nothing is lost."""
    system = install()
    one, two, edge = system.worker(), system.worker(), system.edge()
    for process in (one, two, edge):
        await asyncio.to_thread(process.until_ready)

    def shared_by(*workers: Process) -> bool:
        parts = [_assigned(worker) for worker in workers]
        return all(parts) and set.union(*parts) == PARTITIONS and sum(map(len, parts)) == len(PARTITIONS)

    async def show_more() -> None:
        await client.until_shown(len(published) + 30)

    async with author_of(system, owner) as author, await connect(edge.websocket) as client:
        await asyncio.to_thread(one.until, lambda: shared_by(one, two), "shares the partitions")
        async with _load(author) as published:
            for worker in (one, two):
                await asyncio.to_thread(_publishes, worker)
            assert await asyncio.to_thread(one.terminate) == 0
            await asyncio.to_thread(two.until, lambda: _assigned(two) == PARTITIONS, "takes over all partitions")
            await show_more()
            three = system.worker()
            await asyncio.to_thread(three.until, lambda: shared_by(two, three), "shares the partitions")
            await show_more()
            assert await asyncio.to_thread(two.terminate) == 0
        await client.until_shown(len(published))
        last = await author.publish(1)
        await client.until_shown(len(published) + 1)
        assert sorted(client.ids) == sorted(published + last)
        # What was shown is released, too: the last worker has nothing left to read again.
        async with asyncio.timeout(30):
            while await topics.unreleased(system.environment["KAFKA_URL"], system.created, system.name):
                pass


async def test_an_edge_that_is_told_to_stop_under_load_says_1001_and_loses_nothing_to_a_cursor(
    shared: System, owner: dict[str, str], extra_edge: Process
) -> None:
    """Resumed at another edge or at the same one restarted; a plain client is shown nothing old there."""
    stays = shared.processes[1]
    async with (
        author_of(shared, owner) as author,
        await connect(stays.websocket) as reference,
        await connect(extra_edge.websocket, asks=True) as one,
        await connect(extra_edge.websocket, asks=True, library="aiohttp") as two,
        await connect(extra_edge.websocket) as plain,
    ):
        await one.until_welcome()
        await two.until_welcome()
        async with _load(author) as published:
            for client in (one, two, plain):
                await client.until_shown(20)
            assert await asyncio.to_thread(extra_edge.terminate) == 0
            assert [await client.until_closed() for client in (one, two, plain)] == [1001, 1001, 1001]
            elsewhere = await connect(stays.websocket, query=f"?cursor={one.cursor}")
            await reference.until_shown(len(one.ids) + 20)
            await asyncio.to_thread(extra_edge.start().until_ready)
            again = await connect(extra_edge.websocket, query=f"?cursor={two.cursor}", library="aiohttp")
            already = len(reference.ids)
            newcomer = await connect(extra_edge.websocket)
            await newcomer.until_shown(20)
        async with elsewhere, again, newcomer:
            await reference.until_shown(len(published))
            for client in (elsewhere, again, newcomer):
                await client.until_last(reference.ids[-1])
            assert sorted(reference.ids) == sorted(published)
            assert one.posts + elsewhere.posts == reference.posts
            assert two.posts + again.posts == reference.posts
            assert (elsewhere.welcome["recovered"], again.welcome["recovered"]) == (True, True)
            assert plain.posts == reference.posts[: len(plain.posts)]
            missed = len(reference.posts) - len(newcomer.posts)
            assert newcomer.posts == reference.posts[missed:]
            assert missed >= already
