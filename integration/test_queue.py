"""The queue is whatever it is: there or not, durable or not, ours to declare or not, deleted and declared anew."""

import asyncio
from collections import Counter
from typing import Final

import aio_pika

from integration import topics
from integration.author import Author, author_of
from integration.clients import Client, connect
from integration.conftest import Install
from integration.services import Services
from integration.system import Process

MIGRATION_SECONDS: Final = 1.0
NAMED_SECONDS: Final = 40.0
"""The depth of the queue is asked for every 10 s, an answer is missed after 5 s; and room for a busy machine."""
AWAY_SECONDS: Final = 12.0
WELL_SECONDS: Final = 20.0


def _durable(services: Services, queue: str) -> str | None:
    """Say whether a queue is durable, as RabbitMQ spells it; None when there is no such queue."""
    lines = services.rabbitmqctl("--silent", "list_queues", "name", "durable").splitlines()
    return dict(line.split("\t") for line in lines).get(queue)


async def _publish_and_see(author: Author, client: Client) -> None:
    already = len(client.ids)
    ids = await author.publish(5)
    await client.until_shown(already + 5)
    assert sorted(client.ids[already:]) == ids


async def test_a_missing_queue_is_declared_and_a_deleted_one_is_found_again_however_it_is_declared(
    install: Install, owner: dict[str, str], services: Services
) -> None:
    """Not durable, as the producer declares it; then durable, by somebody who deletes it under the consumer."""
    system = install()
    worker, edge = system.worker(), system.edge()
    await asyncio.to_thread(worker.until_ready)
    await asyncio.to_thread(edge.until_ready)
    assert await asyncio.to_thread(_durable, services, system.queue) == "false"
    async with (
        author_of(system, owner) as author,
        await connect(edge.websocket) as client,
        await aio_pika.connect(owner["AMQP_URL"]) as broker,
    ):
        await _publish_and_see(author, client)
        channel = await broker.channel(publisher_confirms=False)
        await channel.queue_delete(system.queue)
        await channel.declare_queue(system.queue, durable=True)
        await _publish_and_see(author, client)
        assert await asyncio.to_thread(_durable, services, system.queue) == "true"
        await channel.queue_delete(system.queue)
        # Nobody declares it: the worker does.
        await asyncio.to_thread(
            worker.until, lambda: _durable(services, system.queue) == "false", "declares the queue again"
        )
        await _publish_and_see(author, client)


async def test_a_queue_that_it_may_not_declare_is_asked_for_in_one_sentence_and_used_once_it_is_there(
    install: Install, owner: dict[str, str], services: Services
) -> None:
    """The sentence is logged once, however often the bridge tries again."""
    user = "may_only_read"
    services.rabbitmqctl("add_user", user, "sesame")
    services.rabbitmqctl("set_permissions", user, "", "", ".*")
    system = install(AMQP_URL=owner["AMQP_URL"].replace("//postcast:postcast@", f"//{user}:sesame@"))
    worker, edge = system.worker(), system.edge()

    def refused() -> bool:
        return "may not declare it" in worker.ask("/readyz")[1]

    def said() -> list[str]:
        sentences = [event["why"] for event in worker.events("service.waiting") if event["part"] == "bridge"]
        return [why for why in sentences if "may not declare it" in why]

    await asyncio.to_thread(worker.until, refused, "says that it may not declare the queue")
    await asyncio.to_thread(worker.until, lambda: bool(said()), "logs that it may not declare the queue")
    await asyncio.to_thread(edge.until_ready)
    async with author_of(system, owner) as author, await connect(edge.websocket) as client:
        await asyncio.to_thread(worker.until_ready)
        await _publish_and_see(author, client)
    # Said when it changes, and not at each attempt: what comes in between is another attempt that found nobody.
    assert len(said()) <= 2
    assert repr(system.queue) in said()[0]


async def test_a_producer_has_time_to_declare_a_deleted_queue_durable(install: Install, owner: dict[str, str]) -> None:
    """A second passes between the two steps; declared by the worker meanwhile, the second one would be refused."""
    system = install()
    worker, edge = system.worker(), system.edge()
    await asyncio.to_thread(worker.until_ready)
    await asyncio.to_thread(edge.until_ready)
    async with (
        author_of(system, owner) as author,
        await connect(edge.websocket) as client,
        await aio_pika.connect(owner["AMQP_URL"]) as broker,
    ):
        channel = await broker.channel(publisher_confirms=False)
        await channel.queue_delete(system.queue)
        await asyncio.sleep(MIGRATION_SECONDS)  # this is how long the producer takes, and not a wait for anything
        await channel.declare_queue(system.queue, durable=True, arguments={"x-queue-type": "quorum"})
        await _publish_and_see(author, client)
        # Without traffic it is well again, and says how long the queue is.
        await asyncio.to_thread(worker.until_ready)
        await asyncio.to_thread(worker.until, lambda: _depth(worker) == 0, "knows the depth of the queue")


def _depth(worker: Process) -> float:
    return worker.metric("postcast_queue_messages")


async def test_the_depth_of_the_queue_is_known_while_kafka_is_away(
    install: Install, owner: dict[str, str], services: Services
) -> None:
    """Deliveries that a worker holds do not count: they are not in the queue any more."""
    system = install(PREFETCH=100)
    worker = system.worker()
    await asyncio.to_thread(worker.until_ready)
    async with author_of(system, owner) as author:
        await asyncio.to_thread(services.kafka.pause)
        try:
            await author.announce(*range(1, 251))
            await asyncio.to_thread(worker.until, lambda: _depth(worker) == 150, "knows the depth of the queue")
        finally:
            await asyncio.to_thread(services.kafka.resume)
        await asyncio.to_thread(worker.until, lambda: _depth(worker) == 0, "knows that the queue is empty")


async def test_a_rabbitmq_that_was_away_is_found_again_within_ten_seconds_without_traffic(
    install: Install, services: Services
) -> None:
    """Whether it was silent, with its connections open, or stopped; and while it is away ``/readyz`` names it."""
    rabbitmq = services.rabbitmq
    worker = install().worker()
    await asyncio.to_thread(worker.until_ready)
    for away, back in ((rabbitmq.pause, rabbitmq.resume), (rabbitmq.stop, rabbitmq.start)):
        await asyncio.to_thread(away)
        try:
            await asyncio.to_thread(worker.until, lambda: _waits_for_rabbitmq(worker), "names RabbitMQ", NAMED_SECONDS)
            # By now the bridge makes attempts, and pauses between them.
            await asyncio.sleep(AWAY_SECONDS)
        finally:
            await asyncio.to_thread(back)
        await asyncio.to_thread(worker.until, lambda: worker.ask("/readyz")[0] == 200, "is ready again", WELL_SECONDS)


def _waits_for_rabbitmq(worker: Process) -> bool:
    status, text = worker.ask("/readyz")
    return status == 503 and "bridge: " in text and "RabbitMQ" in text


async def test_a_stop_under_load_announces_nothing_twice(
    install: Install, owner: dict[str, str], services: Services
) -> None:
    """What is in flight at SIGTERM is confirmed and acknowledged before the end; the next worker takes the rest."""
    system = install()
    announced = range(1, 60_001)
    async with author_of(system, owner) as author:
        await author.announce(*announced)
    for _ in range(2):
        worker = system.worker()
        await asyncio.to_thread(_until_it_forwards, worker)
        assert await asyncio.to_thread(worker.terminate) == 0
        assert worker.events("bridge.not_drained") == []
        assert await asyncio.to_thread(_messages, services, system.queue) > 0
    worker = system.worker()
    await asyncio.to_thread(worker.until, lambda: _messages(services, system.queue) == 0, "takes all", 240)
    records = await topics.created_records(system.environment["KAFKA_URL"], system.created)
    # None of these posts exists, so each is looked up again: only what was announced counts here.
    assert Counter(post for record in records if not record.attempt for post in record.ids) == Counter(announced)


def _until_it_forwards(worker: Process) -> None:
    worker.until(lambda: worker.metric("postcast_deliveries_total") > 500, "forwards deliveries")


def _messages(services: Services, queue: str) -> int:
    """Return how many messages a queue has, the unacknowledged ones among them."""
    lines = services.rabbitmqctl("--silent", "list_queues", "name", "messages").splitlines()
    return int(dict(line.split("\t") for line in lines)[queue])
