"""What docs/migration.md says: two consumers of the queue compete, and the switch and the way back lose no post."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from integration.author import author_of
from integration.clients import connect
from integration.conftest import Install
from integration.system import Process, System

PATIENCE = 180.0


@asynccontextmanager
async def replaced_service(url: str, queue: str) -> AsyncIterator[list[int]]:
    """Consume the queue as another service does, and lend the list of what it has got."""
    got: list[int] = []

    async def take(message: AbstractIncomingMessage) -> None:
        got.append(int(message.body))

    async with await aio_pika.connect(url) as broker:
        channel = await broker.channel()
        await (await channel.declare_queue(queue, passive=True)).consume(take, no_ack=True)
        yield got


async def on_queue(system: System, before: Process | None, queue: str) -> Process:
    """Restart the worker with another queue."""
    if before:
        await asyncio.to_thread(before.terminate)
    worker = system.worker(QUEUE_NAME=queue)
    return await asyncio.to_thread(worker.until_ready)


async def test_two_consumers_compete_and_the_switch_and_the_way_back_lose_nothing(
    install: Install, owner: dict[str, str]
) -> None:
    system = install()
    rehearsal = f"{system.queue}-rehearsal"
    edge = system.edge()
    worker = await on_queue(system, None, rehearsal)
    await asyncio.to_thread(edge.until_ready)
    async with author_of(system, owner) as author, await connect(edge.websocket) as client:
        async with replaced_service(owner["AMQP_URL"], system.queue) as got, asyncio.timeout(PATIENCE):
            # Prepared: the old service gets everything, whatever the rehearsal does.
            before = await author.publish(4)
            while len(got) < len(before):
                await asyncio.sleep(0.05)
            # The mistake that the page warns of.
            competing = await on_queue(system, worker, system.queue)
            both = await author.publish(20)
            while len(got) - len(before) + len(client.ids) < len(both):
                await asyncio.sleep(0.05)
            assert sorted(got[len(before) :] + client.ids) == both
            assert client.ids
            assert got[len(before) :]
            worker = await on_queue(system, competing, rehearsal)
        # The old service has stopped, nobody consumes, and then the workers do.
        already = len(client.ids)
        switched = await author.publish(5)
        assert await author.queued() == len(switched)
        worker = await on_queue(system, worker, system.queue)
        await client.until_shown(already + len(switched))
        assert sorted(client.ids[already:]) == switched

        # Back: what the workers have taken is shown although they have left the queue.
        taken = await author.publish(5)
        await on_queue(system, worker, rehearsal)
        waiting = await author.publish(5)
        async with replaced_service(owner["AMQP_URL"], system.queue) as got, asyncio.timeout(PATIENCE):
            back = {*taken, *waiting}
            while {*got, *client.ids[already + len(switched) :]} < back:
                await asyncio.sleep(0.05)
            shown = client.ids[already + len(switched) :]
            assert sorted(got + shown) == sorted(back)
            assert set(waiting) <= set(got)
