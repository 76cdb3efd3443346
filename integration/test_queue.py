"""The queue is whatever it is: there or not, durable or not, ours to declare or not, deleted and declared anew."""

import asyncio

import aio_pika

from integration.author import Author, author_of
from integration.clients import Client, connect
from integration.conftest import Install
from integration.services import Services


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

    await asyncio.to_thread(worker.until, refused, "says that it may not declare the queue")
    await asyncio.to_thread(edge.until_ready)
    async with author_of(system, owner) as author, await connect(edge.websocket) as client:
        await asyncio.to_thread(worker.until_ready)
        await _publish_and_see(author, client)
    said = [event["why"] for event in worker.events("service.waiting") if event["part"] == "rabbitmq"]
    assert len(said) == len(set(said)) == 1
    assert repr(system.queue) in said[0]
