"""From an application to an address, and back."""

import asyncio
import socket

import pytest
from aiohttp import web

from edge.access.serving import serving
from tests.edge.kit.listening import gate

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def application() -> web.Application:
    """Make one that has nothing to say."""
    return web.Application()


async def test_afterwards_nobody_listens_and_no_connection_is_left() -> None:
    """Not even one that idles between two requests."""
    through = gate()
    async with (
        asyncio.timeout(60),
        serving(application(), through, host="127.0.0.1", port=0, keepalive_seconds=60, unsent_bytes=1) as listener,
    ):
        [(host, port)] = listener.addresses
        assert host == "127.0.0.1"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404")
    await reader.read()
    writer.close()
    while through.census.connections:
        await asyncio.sleep(0)
    assert listener.addresses == []
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_an_address_that_is_taken_is_an_error_and_leaves_nothing_open() -> None:
    """Its reason is the system's."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            async with serving(
                application(), gate(), host="127.0.0.1", port=port, keepalive_seconds=60, unsent_bytes=1
            ):
                pytest.fail("it listens")
