"""Which address is served on."""

import socket
from typing import Literal

import aiohttp
import pytest
import structlog
from aiohttp import web

from edge.ports import CannotListen, serving_port
from edge.settings import Settings
from tests.edge.kit.listening import gate


@pytest.mark.parametrize(("name", "event"), [("EDGE", "edge.listening"), ("ADMIN", "admin.listening")])
async def test_serves_where_the_settings_say(name: Literal["EDGE", "ADMIN"], event: str) -> None:
    """And logs where that is: a port 0 is chosen by the machine."""
    settings = Settings(kafka_url="kafka://kafka:9092", edge_host="127.0.0.1", edge_port=0)
    with structlog.testing.capture_logs() as said:
        async with serving_port(name, web.Application(), gate(), settings) as listener:
            host, port = listener.addresses[0][:2]
            async with aiohttp.ClientSession() as browser, browser.get(f"http://{host}:{port}/") as answer:
                assert answer.status == 404
    assert said == [{"event": event, "host": "127.0.0.1", "port": port, "log_level": "info"}]


async def test_says_which_address_cannot_be_listened_on() -> None:
    """One sentence that names the variables."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(kafka_url="kafka://kafka:9092", edge_host="127.0.0.1", edge_port=port)
        with pytest.raises(CannotListen, match=f"^The edge cannot listen on EDGE_HOST 127.0.0.1, EDGE_PORT {port}: "):
            async with serving_port("EDGE", web.Application(), gate(), settings):
                pass
