"""Several edges on one port (``REUSE_PORT``): the kernel deals clients to all of them, and it makes no difference."""

import asyncio
from itertools import islice
from typing import Final

from integration import topics
from integration.bench.cores import beside
from integration.bench.posts import FIRST_ID, feed_record
from integration.clients import connect
from integration.conftest import Install

_CLIENTS: Final = 30
"""That all of them are dealt to one of two edges happens once in 500 million times."""


async def test_two_edges_on_one_port_share_the_clients_and_each_gets_every_post(install: Install) -> None:
    """One that ends leaves the port to the other: who comes then is served by that."""
    system = install(REUSE_PORT="true")
    kafka_url = system.environment["KAFKA_URL"]
    await topics.create(kafka_url, {system.feed: 1})
    edge = system.edge()
    await asyncio.to_thread(edge.until_ready)
    other = await beside(system, edge)

    clients = [await connect(edge.websocket, asks=True) for _ in range(_CLIENTS)]
    ids = list(range(FIRST_ID, FIRST_ID + 5))
    await topics.write(kafka_url, system.feed, [feed_record([id_]) for id_ in ids])
    for client in clients:
        await client.until_last(ids[-1])
    assert [client.ids for client in clients] == [ids] * _CLIENTS
    opened = [len(each.events("session.opened")) for each in (edge, other)]
    assert min(opened) > 0
    assert sum(opened) == _CLIENTS

    ends = [asyncio.create_task(client.until_closed()) for client in clients]
    assert await asyncio.to_thread(edge.terminate) == 0
    codes = [await end for end in islice(asyncio.as_completed(ends), opened[0])]
    assert codes == [1001] * opened[0]
    left = [client for client in clients if client.code is None]
    assert len(left) == opened[1]
    late = [await connect(other.websocket, query=f"?cursor={clients[0].cursor}") for _ in range(_CLIENTS)]
    await topics.write(kafka_url, system.feed, [feed_record([ids[-1] + 1])])
    for client in (*left, *late):
        await client.until_last(ids[-1] + 1)
    assert [client.ids for client in late] == [[ids[-1] + 1]] * _CLIENTS
    for client in (*clients, *late):
        await client.close()
    await asyncio.wait(ends)
