"""A worker that is stuck says so and ends within 30 s, for its supervisor; one that waits knowingly stays."""

import asyncio

from integration.author import author_of
from integration.clients import connect
from integration.conftest import Install
from integration.services import Services

VERDICT_SECONDS = 30.0
# Longer than the watchdog waits for a worker that does not know what it waits for.
PATIENCE_SECONDS = 22.0


async def test_a_stuck_worker_ends_and_the_next_one_goes_on(install: Install, owner: dict[str, str]) -> None:
    """Its loop or its consumer's thread stands, or the consumer is dead and does not know it: side by side."""

    async def ends(way: str, exit_code: int, sentence: str) -> None:
        system = install()
        stuck = system.worker("integration.stuck_worker", STUCK=way)
        edge = system.edge()
        for process in (stuck, edge):
            await asyncio.to_thread(process.until_ready)
        async with author_of(system, owner) as author, await connect(edge.websocket) as client:
            published = await author.publish(20)
            assert await asyncio.to_thread(stuck.until_ended, VERDICT_SECONDS + 5) == exit_code
            assert sentence in stuck.log.read_text("utf-8")
            await asyncio.to_thread(system.worker().until_ready)
            await client.until_shown(20, patience=30)
            assert sorted(client.ids) == sorted(published)

    await asyncio.gather(
        ends("loop", 70, "the event loop does not turn"),
        # Its thread cannot be joined: the process ends itself in the end.
        ends("thread", 70, "the consumer does not answer although Kafka does"),
        ends("commit", 1, "stands at 0 of"),
    )


async def test_a_worker_that_waits_for_its_database_is_unready_says_so_and_stays(
    install: Install, owner: dict[str, str], services: Services
) -> None:
    system = install()
    worker, edge = system.worker(), system.edge()
    for process in (worker, edge):
        await asyncio.to_thread(process.until_ready)
    async with author_of(system, owner) as author, await connect(edge.websocket) as client:
        published = await author.publish(5)
        await client.until_shown(5)
        ids = await author.insert(5)
        await asyncio.to_thread(services.postgres.pause)
        try:
            await author.announce(*ids)
            await asyncio.to_thread(
                worker.until, lambda: "PostgreSQL" in worker.ask("/readyz")[1], "says what it lacks"
            )
            # Longer than the watchdog's patience.
            await asyncio.sleep(VERDICT_SECONDS)
            assert worker.is_alive()
            assert worker.ask("/readyz")[0] == 503
            assert worker.ask("/livez")[0] == 200
        finally:
            await asyncio.to_thread(services.postgres.resume)
        await client.until_shown(10, patience=30)
        assert sorted(client.ids) == sorted(published + ids)
        await asyncio.to_thread(worker.until_ready)
