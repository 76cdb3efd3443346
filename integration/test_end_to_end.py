"""From the queue to the clients: complete, once, and in one order."""

import asyncio
import time
from contextlib import AsyncExitStack

from integration import topics
from integration.author import Author, author_of
from integration.clients import Client, connect
from integration.conftest import Install
from integration.system import System
from streams.contract import FeedRecord


async def _one_by_one(author: Author, count: int, watching: Client) -> list[int]:
    """Publish posts singly: each after the one before was shown."""
    ids: list[int] = []
    for _ in range(count):
        already = len(watching.ids)
        ids += await author.publish(1)
        await watching.until_shown(already + 1)
    return ids


def _ids(feed: list[FeedRecord]) -> list[int]:
    return list(dict.fromkeys(publication.id for record in feed for publication in record.publications))


async def test_500_posts_reach_five_clients_complete_once_and_in_one_order(
    shared: System, owner: dict[str, str]
) -> None:
    """In bursts and singly; at two edges, through two libraries; each client what follows its connection or cursor."""
    _, one, other = shared.processes
    kafka_url = shared.environment["KAFKA_URL"]
    before = len(_ids(await topics.feed_records(kafka_url, shared.feed)))
    async with author_of(shared, owner) as author, AsyncExitStack() as clients:
        first = await clients.enter_async_context(await connect(one.websocket))
        second = await clients.enter_async_context(await connect(other.websocket, asks=True, library="aiohttp"))
        await second.until_welcome()

        published = await author.publish(80)
        published += await _one_by_one(author, 3, first)
        await first.until_shown(len(published))
        await second.until_shown(len(published))
        third = await clients.enter_async_context(await connect(other.websocket, library="aiohttp"))
        third_missed = len(published)

        # While posts are on their way Kafka alone can say what a client is in time for.
        published += await author.publish(150)
        earliest = len(await topics.feed_records(kafka_url, shared.feed))
        fourth = await clients.enter_async_context(await connect(one.websocket, asks=True))
        await fourth.until_welcome()
        latest = len(await topics.feed_records(kafka_url, shared.feed))

        await second.close()
        published += [id_ for _ in range(10) for id_ in await author.publish(11)]
        await first.until_shown(len(published))
        resumed = await clients.enter_async_context(await connect(one.websocket, query=f"?cursor={second.cursor}"))
        fifth = await clients.enter_async_context(await connect(one.websocket))
        fifth_missed = len(published)

        published += await _one_by_one(author, 2, first)
        published += await author.publish(500 - len(published))
        await first.until_shown(500)
        for client in (third, fourth, fifth, resumed):
            await client.until_last(first.ids[-1])
        expected = {post["id"]: post for post in await author.expected(published)}

    feed = await topics.feed_records(kafka_url, shared.feed)
    assert sorted(first.ids) == sorted(published)
    assert first.posts == [expected[id_] for id_ in first.ids]
    assert first.ids == _ids(feed)[before:]
    assert resumed.welcome["recovered"] is True
    assert second.posts + resumed.posts == first.posts
    assert third.posts == first.posts[third_missed:]
    assert fifth.posts == first.posts[fifth_missed:]
    fourth_missed = 500 - len(fourth.posts)
    assert fourth.posts == first.posts[fourth_missed:]
    assert len(_ids(feed[:earliest])) <= before + fourth_missed <= len(_ids(feed[:latest]))


async def test_a_single_post_after_silence_is_shown_within_the_window_and_a_second_and_a_half(
    install: Install, owner: dict[str, str]
) -> None:
    """Nothing else arrives that could close its window: the clock does, with windows of the usual 5 s.

    One of six has to be in time: the others may have had a busy machine.
    """
    system = install(WINDOW_SECONDS=5)
    worker, edge = system.worker(), system.edge()
    async with author_of(system, owner) as author:
        await asyncio.to_thread(worker.until_ready)
        await asyncio.to_thread(edge.until_ready)
        async with await connect(edge.websocket) as client:
            ids: list[int] = []
            took: list[float] = []
            while len(took) < 6 and not any(seconds <= 5 + 1.5 for seconds in took):
                began = time.monotonic()
                ids += await author.publish(1)
                await client.until_shown(len(ids))
                took.append(time.monotonic() - began)
            assert client.posts == await author.expected(ids)
            assert min(took) <= 5 + 1.5, took
