"""What operators are answered, and where."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest

from edge.access.limits import SPARE_PER_ADDRESS
from tests.edge.kit.edge import Edge, posts, serving
from tests.edge.kit.listening import gate, listening

PATHS = ("/livez", "/readyz", "/metrics")


async def get(port: int, path: str) -> tuple[int, str, str | None]:
    """Ask for a page: its status, its text, and which server says that it answers."""
    async with aiohttp.ClientSession() as asking, asking.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text(), response.headers.get("Server")


async def test_health_and_metrics() -> None:
    """Ready when the feed is followed to its end; what was sent is counted."""
    async with serving() as edge, edge.connect() as client:
        edge.feed.publish(1, 2)
        await posts(client, 2)
        assert (await edge.get("/livez"))[0] == 200
        assert (await edge.get("/readyz"))[:2] == (200, "The feed is followed to its end.\n")
        status, text, headers = await edge.get("/metrics")
        assert (status, headers["Content-Type"].split(";")[0]) == (200, "text/plain")
        assert {
            'postcast_edge_connections{transport="websocket"} 1.0',
            "postcast_edge_posts_sent_total 2.0",
            "postcast_edge_lagging 0.0",
            "postcast_edge_takeovers_total 1.0",
            "postcast_edge_join_seconds_count 1.0",
            'postcast_edge_http_answers_total{status="101"} 1.0',
            # This one is counted when its head is written.
            'postcast_edge_http_answers_total{status="200"} 2.0',
        } <= set(text.splitlines())


@asynccontextmanager
async def apart(edge: Edge) -> AsyncIterator[int]:
    """Serve an edge's clients and its operators on two ports; name the operators' one."""
    async with (
        listening(edge.admin.application(), edge.admin_gate) as admin_port,
        listening(edge.server.application(), edge.gate) as edge.port,
    ):
        yield admin_port


@pytest.mark.parametrize("path", PATHS)
async def test_on_a_port_of_their_own_they_are_nowhere_else(path: str) -> None:
    """The clients' port has no such page, and the operators' port no other; neither says what runs there."""
    edge = Edge()
    async with apart(edge) as admin_port:
        status, _, server = await get(admin_port, path)
        assert (status, server) == (200, None)
        assert (await get(edge.port, path))[0] == 404
        assert [(await get(admin_port, other))[0] for other in ("/", "/nothing")] == [404, 404]
        assert (await get(edge.port, "/"))[0] == 200


async def fill(port: int, opened: AsyncExitStack) -> None:
    """Take the one connection of a port, and all that one address is told so on."""
    for _ in range(1 + SPARE_PER_ADDRESS):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        opened.callback(writer.close)


async def test_operators_are_answered_when_the_clients_port_is_full() -> None:
    """Not even a connection is left that would be told so; the operators' port counts its own."""
    edge = Edge(through=gate(total=1))
    async with apart(edge) as admin_port, AsyncExitStack() as opened:
        await fill(edge.port, opened)
        with pytest.raises(aiohttp.ClientConnectionError):
            await get(edge.port, "/")
        assert [(await get(admin_port, path))[0] for path in PATHS] == [200] * 3
    assert edge.admin_gate.limited == {}


async def test_who_holds_the_operators_port_is_limited_and_keeps_no_client_out() -> None:
    """It has limits like the clients' port, and is counted by itself."""
    edge = Edge()
    edge.admin_gate = gate(total=1)
    async with apart(edge) as admin_port, AsyncExitStack() as opened:
        await fill(admin_port, opened)
        with pytest.raises(aiohttp.ClientConnectionError):
            await get(admin_port, "/livez")
        assert (await get(edge.port, "/"))[0] == 200
    assert set(edge.admin_gate.limited) == {"connections"}
    assert edge.gate.limited == {}


async def test_operators_are_answered_while_the_edge_drains() -> None:
    """Alive, and not ready."""
    edge = Edge()
    async with apart(edge) as admin_port:
        await edge.server.drain(0)
        assert [(await get(admin_port, path))[0] for path in PATHS] == [200, 503, 200]
        assert (await get(admin_port, "/readyz"))[1] == "The server is shutting down.\n"
