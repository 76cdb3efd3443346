"""Brokers and database that are away, at the start or for a while: what they had kept is shown, once."""

import asyncio
import os
from collections.abc import Iterator

import aio_pika
import pytest

from integration.author import author_of
from integration.clients import connect
from integration.conftest import Install
from integration.services import Services
from integration.system import Process, System


def _waits_for(process: Process, *words: str) -> None:
    """Return when /readyz says that the process waits for one of these."""
    process.until(lambda: any(word in process.ask("/readyz")[1] for word in words), f"waits for {words[0]}")


async def test_rabbitmq_may_be_away_at_the_start_and_may_be_restarted(
    install: Install, owner: dict[str, str], services: Services
) -> None:
    """The worker waits for it, finds a durable queue that was there before, and comes back after a restart."""
    system = install()
    async with await aio_pika.connect(owner["AMQP_URL"]) as broker:
        await (await broker.channel()).declare_queue(system.queue, durable=True)
    await asyncio.to_thread(services.rabbitmq.stop)
    worker, edge = system.worker(), system.edge()
    await asyncio.to_thread(_waits_for, worker, "RabbitMQ")
    await asyncio.to_thread(edge.until_ready)
    await asyncio.to_thread(services.rabbitmq.start)
    await asyncio.to_thread(worker.until_ready)
    async with await connect(edge.websocket) as client:
        async with author_of(system, owner, declare=False) as author:
            ids = await author.publish(10)
            await client.until_shown(10)
        await asyncio.to_thread(services.rabbitmq.restart)
        await asyncio.to_thread(worker.until_ready)
        async with author_of(system, owner, declare=False) as author:
            ids += await author.publish(10)
            await client.until_shown(20)
        assert sorted(client.ids) == ids


async def test_postgresql_may_be_away_for_a_while(shared: System, owner: dict[str, str], services: Services) -> None:
    """What is announced meanwhile waits in Kafka, and is shown when it is back."""
    worker, edge, _ = shared.processes
    async with author_of(shared, owner) as author, await connect(edge.websocket) as client:
        ids = await author.insert(30)
        await author.announce(*ids[:10])
        await client.until_shown(10)
        await asyncio.to_thread(services.postgres.stop)
        await author.announce(*ids[10:20])
        await asyncio.to_thread(_waits_for, worker, "PostgreSQL")
        await author.announce(*ids[20:])
        await asyncio.to_thread(services.postgres.start)
        await client.until_shown(30)
        assert sorted(client.ids) == ids


@pytest.fixture
def own_kafka(services: Services) -> Iterator[Services]:
    """Start a Kafka for one test alone, beside the other two services of all."""
    given = {"AMQP_URL": services.rabbitmq.url, "DATABASE_URL": services.postgres.url}
    with Services(environ={**os.environ, **given, "KAFKA_URL": ""}) as own:
        yield own


async def test_kafka_may_be_away_at_the_start_and_for_a_while(
    install: Install, owner: dict[str, str], own_kafka: Services
) -> None:
    """Worker and edge say what they wait for; deliveries stay in RabbitMQ, and clients stay connected."""
    kafka = own_kafka.kafka
    kafka.stop()
    system = install(KAFKA_URL=kafka.url, UNREADY_SECONDS=3)
    worker, edge = system.worker(), system.edge()
    for process in (worker, edge):
        await asyncio.to_thread(_waits_for, process, "Kafka")
    async with author_of(system, owner) as author:
        ids = await author.publish(10)
        await asyncio.to_thread(kafka.start)
        for process in (worker, edge):
            await asyncio.to_thread(process.until_ready)
        async with await connect(edge.websocket, query="?history=1000") as client:
            await client.until_shown(10)
            # A broker that keeps everything in memory can be frozen, and not stopped, without losing it.
            away, back = (kafka.stop, kafka.start) if kafka.durable else (kafka.pause, kafka.resume)
            await asyncio.to_thread(away)
            ids += await author.publish(10)
            for process in (worker, edge):
                await asyncio.to_thread(_waits_for, process, "Kafka")
            await asyncio.to_thread(edge.until, lambda: edge.ask("/readyz")[0] == 503, "is unready")
            ids += await author.publish(10)
            await asyncio.to_thread(back)
            await client.until_shown(30, patience=60)
            ids += await author.publish(1)
            await client.until_shown(31)
            assert edge.ask("/readyz")[0] == 200
            # Nor does it keep anybody from stopping.
            await asyncio.to_thread(away)
            try:
                await asyncio.to_thread(worker.terminate)
            finally:
                await asyncio.to_thread(back)
            assert sorted(client.ids) == ids
            assert client.posts == await author.expected(client.ids)
