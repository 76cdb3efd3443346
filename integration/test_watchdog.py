"""A worker that is stuck says so and ends within 30 s, for its supervisor."""

import asyncio

from integration.author import author_of
from integration.clients import connect
from integration.conftest import Install

VERDICT_SECONDS = 30.0


async def test_a_stuck_worker_ends_and_the_next_one_goes_on(install: Install, owner: dict[str, str]) -> None:
    """Its loop or its consumer's thread stands, or a commit never returns: side by side."""

    async def ends(way: str, exit_codes: set[int], sentence: str) -> None:
        system = install()
        stuck = system.worker("integration.stuck_worker", STUCK=way)
        edge = system.edge()
        for process in (stuck, edge):
            await asyncio.to_thread(process.until_ready)
        async with author_of(system, owner) as author, await connect(edge.websocket) as client:
            published = await author.publish(20)
            assert await asyncio.to_thread(stuck.until_ended, VERDICT_SECONDS + 30) in exit_codes
            assert sentence in stuck.log.read_text("utf-8")
            await asyncio.to_thread(system.worker().until_ready)
            await client.until_shown(20, patience=90)
            assert sorted(client.ids) == sorted(published)

    await asyncio.gather(
        ends("loop", {70}, "the event loop does not turn"),
        # Its thread cannot be joined: the process ends itself in the end.
        ends("thread", {70}, "the consumer does not answer although Kafka does"),
        # Where its orderly end takes longer than it may, it is 70 as well.
        ends("commit", {1, 70}, "stage commit has neither progressed nor waited for anything"),
    )
