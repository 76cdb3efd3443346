"""An edge with a port for operators: they are answered there, and nowhere else, from its start to its end."""

import asyncio
import time
from typing import Final

from integration import topics
from integration.bench.posts import FIRST_ID, feed_record
from integration.clients import connect
from integration.conftest import Install
from integration.ports import free_port
from tests.strict import Handshake

_DRAIN_SECONDS: Final = 3
_PATHS: Final = ("/livez", "/readyz", "/metrics")


async def test_operators_have_a_port_of_their_own_until_a_drain_is_over(install: Install) -> None:
    """The drain takes all its time: one client does not answer the close."""
    system = install()
    kafka_url = system.environment["KAFKA_URL"]
    await topics.create(kafka_url, {system.feed: 1})
    edge = system.edge(ADMIN_PORT=free_port(), DRAIN_SECONDS=_DRAIN_SECONDS)
    await asyncio.to_thread(edge.until_ready)
    assert [edge.ask(path)[0] for path in _PATHS] == [200] * 3
    assert [edge.ask(path, edge.port)[0] for path in _PATHS] == [404] * 3

    client = await connect(edge.websocket)
    handshake = Handshake()
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(handshake.request)
    handshake.accept(await reader.readuntil(b"\r\n\r\n"))
    await topics.write(kafka_url, system.feed, [feed_record([FIRST_ID])])
    await client.until_last(FIRST_ID)
    assert edge.connections() == 2

    begun = time.monotonic()
    await asyncio.to_thread(edge.ask_to_end)
    assert await client.until_closed() == 1001
    answers = []
    while edge.is_alive():
        answered = await asyncio.to_thread(edge.ask, "/readyz")
        answers.append((time.monotonic() - begun, *answered))
    writer.close()
    draining = [(status, text) for passed, status, text in answers if passed < _DRAIN_SECONDS]
    assert set(draining[1:]) == {(503, "The server is shutting down.\n")}
    assert len(draining) > 1
    assert edge.exit_code == 0
