"""A worker that waits stays, names what it waits for, and is ready again within 10 s of its answering."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import asyncpg
import pytest

from integration.author import Author, author_of
from integration.clients import Client, connect
from integration.conftest import Install
from integration.services import Services
from integration.system import Process, System

READY_AGAIN_SECONDS = 10.0
# Longer than four statements at default settings, and than the watchdog's patience with a window of 5 s.
LOCK_SECONDS = 42.0
AWAY_SECONDS = 25.0
_ASK_SECONDS = 0.2


@asynccontextmanager
async def locked(owner: dict[str, str], table: str) -> AsyncIterator[None]:
    """Hold the strongest lock on a table, for the body's time."""
    database = await asyncpg.connect(owner["DATABASE_URL"])
    try:
        async with database.transaction():
            await database.execute(f"LOCK TABLE {table}")
            yield
    finally:
        await database.close()


async def says(process: Process, *words: str, patience: float) -> None:
    """Return when /readyz is 503 and has each of these words."""

    def is_said() -> bool:
        status, text = process.ask("/readyz")
        return status == 503 and all(word in text for word in words)

    await asyncio.to_thread(process.until, is_said, f"names {words}", patience)


async def ready_again(process: Process) -> None:
    """Return when it is ready; fail when that takes longer than it may."""
    await asyncio.to_thread(
        process.until, lambda: process.ask("/readyz")[0] == 200, "is ready again", READY_AGAIN_SECONDS
    )


async def stays_unready(process: Process, word: str, seconds: float) -> None:
    """Fail when it ends, is ready in between, or does not name what it waits for at every look."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        status, text = await asyncio.to_thread(process.ask, "/readyz")
        assert (status, word in text) == (503, True), f"{process.name}: {status} {text!r}, alive: {process.is_alive()}"
        assert (await asyncio.to_thread(process.ask, "/livez"))[0] == 200
        await asyncio.sleep(_ASK_SECONDS)


class Watched:
    """An installation with somebody who writes and somebody who reads."""

    def __init__(self, system: System) -> None:
        self.worker = system.worker()
        self.edge = system.edge()
        self._system = system
        self.author: Author
        self.client: Client
        self.ids: list[int] = []

    async def begin(self, owner: dict[str, str], stack: AsyncExitStack) -> None:
        for process in (self.worker, self.edge):
            await asyncio.to_thread(process.until_ready)
        self.author = await stack.enter_async_context(author_of(self._system, owner))
        self.client = await stack.enter_async_context(await connect(self.edge.websocket))

    async def announce_slowly(self, seconds: float) -> None:
        for post in self.ids:
            await self.author.announce(post)
            await asyncio.sleep(seconds / len(self.ids))

    async def all_is_shown(self, patience: float) -> None:
        await self.client.until_shown(len(self.ids), patience=patience)
        assert sorted(self.client.ids) == self.ids
        assert self.client.posts == await self.author.expected(self.client.ids)


def is_said_well(process: Process, part: str) -> bool:
    return any(line["part"] == part for line in process.events("service.well"))


async def test_a_lock_that_outlasts_many_statements_ends_no_worker(install: Install, owner: dict[str, str]) -> None:
    """H1: at default settings, and with a statement's limit far above the watchdog's patience: side by side."""
    both = [Watched(install(WINDOW_SECONDS=5, STATEMENT_TIMEOUT_SECONDS=limit)) for limit in (10, 120)]

    async def while_locked(one: Watched) -> None:
        # The first window's end, and 10 s.
        await says(one.worker, "look up", "database", "PostgreSQL", patience=5 + 1 + 10)
        await stays_unready(one.worker, "database", LOCK_SECONDS - 18)
        assert one.worker.metric("postcast_waiting", part="look up") == 1
        assert one.worker.metric("postcast_statement_age_seconds") < 122
        assert one.worker.metric("postcast_halvings_total") == 0
        # Said when it changes, and not at each attempt.
        lines = [line["why"] for line in one.worker.events("service.waiting") if line["part"] == "look up"]
        assert len(lines) <= 4, lines

    async with AsyncExitStack() as stack:
        for one in both:
            await one.begin(owner, stack)
            one.ids = await one.author.insert(60)
        async with locked(owner, "likes"):
            announcing = [asyncio.create_task(one.announce_slowly(LOCK_SECONDS)) for one in both]
            await asyncio.gather(*map(while_locked, both))
            await asyncio.gather(*announcing)
        await asyncio.gather(*(one.all_is_shown(patience=60) for one in both))
        await asyncio.gather(*(ready_again(one.worker) for one in both))
        for one in both:
            await asyncio.to_thread(one.worker.until, partial(is_said_well, one.worker, "look up"), "says so", 5)


async def test_a_worker_that_waits_for_its_database_is_unready_says_so_and_stays(
    install: Install, owner: dict[str, str], services: Services
) -> None:
    one = Watched(install())
    async with AsyncExitStack() as stack:
        await one.begin(owner, stack)
        one.ids = await one.author.insert(10)
        await one.author.announce(*one.ids[:5])
        await one.client.until_shown(5)
        await asyncio.to_thread(services.postgres.pause)
        try:
            await one.author.announce(*one.ids[5:])
            await says(one.worker, "PostgreSQL", patience=30)
            await stays_unready(one.worker, "PostgreSQL", AWAY_SECONDS)
        finally:
            await asyncio.to_thread(services.postgres.resume)
        await ready_again(one.worker)
        await one.all_is_shown(patience=60)


async def test_an_idle_worker_is_ready_again_without_traffic_after_kafka_was_away(
    install: Install, services: Services
) -> None:
    """M3: what the watchdog said it takes back itself."""
    worker = install().worker()
    await asyncio.to_thread(worker.until_ready)
    await asyncio.to_thread(services.kafka.pause)
    try:
        await says(worker, "Kafka", patience=20)
        await stays_unready(worker, "Kafka", AWAY_SECONDS)
    finally:
        await asyncio.to_thread(services.kafka.resume)
    await ready_again(worker)
    # And stays so: nothing was left behind that ends it.
    await asyncio.sleep(AWAY_SECONDS)
    assert worker.is_alive()
    assert worker.ask("/readyz")[0] == 200


async def test_the_database_is_asked_at_the_start_and_the_bridge_does_not_wait_for_it(
    install: Install, owner: dict[str, str], services: Services
) -> None:
    system = install()
    async with author_of(system, owner) as author:
        ids = await author.insert(5)
        await asyncio.to_thread(services.postgres.stop)
        try:
            worker = system.worker()
            await says(worker, "look up", "database", patience=90)
            await author.announce(*ids)
            # Announcements are safer in Kafka.
            await asyncio.to_thread(
                worker.until, lambda: worker.metric("postcast_deliveries_total") == 5, "has bridged them"
            )
            await stays_unready(worker, "database", 3)
        finally:
            await asyncio.to_thread(services.postgres.start)
        await ready_again(worker)
        await asyncio.to_thread(worker.until, lambda: worker.metric("postcast_posts_total") == 5, "has shown them")


@pytest.mark.parametrize("parameter", ["TimeZone=typo"])
async def test_a_database_url_that_cannot_work_ends_the_worker_with_a_sentence(
    install: Install, product: dict[str, str], parameter: str
) -> None:
    """H3: nothing is looked up, and nothing set aside, for a configuration that cannot work."""
    url = product["DATABASE_URL"]
    worker = install(DATABASE_URL=f"{url}{'&' if '?' in url else '?'}{parameter}").worker()
    assert await asyncio.to_thread(worker.until_ended, 60) == 1
    *_, last = worker.log.read_text("utf-8").splitlines()
    assert last.startswith("DATABASE_URL cannot work: ")
