"""Servers of other makers, which are told over HTTP what to send: Centrifugo, and uWebSockets.

Each is the maker's own server or library, with compression and pings off, as the edge has them in the benchmark.
Clients of Centrifugo are told first that they are connected; its messages have an envelope around what is published.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import aiohttp
import psutil

from integration.bench import built
from integration.bench.companion import NoAnswer, program
from integration.bench.posts import FIRST_ID, FRAME_BYTES, message_text
from integration.bench.stage import Stage
from integration.bench.usage import serving
from integration.child import Child
from integration.files import raise_file_limit
from integration.ports import free_port

CENTRIFUGO: Final = "Centrifugo"
UWEBSOCKETS: Final = "uWebSockets"

_CHANNEL: Final = "posts"
_ENVELOPE: Final = '{"channel":"posts","pub":{"data":}}'
_CONNECT: Final = quote(json.dumps({"subs": {_CHANNEL: {}}}))
_START_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.05
_HTTP_OK: Final = 200


class Rival(NamedTuple):
    """A server that runs."""

    process: psutil.Process
    port: int
    publish: Callable[[int], Awaitable[None]]
    """Publishes that many posts, and returns when the server has taken them all."""
    path: str = "/"
    is_greeting: bool = False
    """Whether it says something to each client before the first post."""
    frame_bytes: int = FRAME_BYTES


@asynccontextmanager
async def centrifugo(stage: Stage) -> AsyncIterator[Rival]:
    """Run Centrifugo, its unidirectional WebSocket alone; raises :class:`~integration.bench.built.Missing`."""
    program_file = await built.centrifugo(stage.scratch)
    port = free_port()
    settings = stage.scratch / f"centrifugo-{port}.json"
    settings.write_text(json.dumps(_settings(port)), "utf-8")
    raise_file_limit()
    server = Child(
        [str(program_file), "--config", str(settings)], log=stage.logs / f"centrifugo-{port}.log", environment={}
    )
    await asyncio.to_thread(server.start)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            await _until_healthy(http, server)
            publish = _Batches(http).publish
            path = f"/connection/uni_websocket?cf_connect={_CONNECT}"
            yield Rival(serving(port), port, publish, path, is_greeting=True, frame_bytes=FRAME_BYTES + len(_ENVELOPE))
    finally:
        # Thousands of clients need no farewell.
        await asyncio.to_thread(server.kill)


def _settings(port: int) -> dict[str, Any]:
    return {
        "http_server": {"address": "127.0.0.1", "port": port},
        "log": {"level": "error"},
        "client": {"allow_anonymous_connect_without_token": True, "ping_interval": "3600s", "pong_timeout": "8s"},
        "channel": {"without_namespace": {"allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True}},
        # Its default of a second ends connections where the machine is busy with others.
        "uni_websocket": {"enabled": True, "write_timeout": "60s"},
        "http_api": {"insecure": True},
        "health": {"enabled": True},
        # It would report to its makers.
        "usage_stats": {"disabled": True},
    }


async def _until_healthy(http: aiohttp.ClientSession, server: Child) -> None:
    try:
        async with asyncio.timeout(_START_SECONDS):
            while server.is_alive():
                try:
                    async with http.get("/health") as answer:
                        if answer.status == _HTTP_OK:
                            return
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        pass
    raise built.Missing(f"{CENTRIFUGO} does not start: {server.tail()[:200]}")


class _Batches:
    """Publishes posts to Centrifugo, all of a window in one request."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._ids = count(FIRST_ID)

    async def publish(self, posts: int) -> None:
        texts = [message_text(next(self._ids)) for _ in range(posts)]
        commands = ",".join(f'{{"publish":{{"channel":"{_CHANNEL}","data":{text}}}}}' for text in texts)
        body = f'{{"commands":[{commands}]}}'.encode()
        async with self._http.post("/api/batch", data=body, headers={"Content-Type": "application/json"}) as answer:
            replies = await answer.json()
        assert answer.status == _HTTP_OK, replies
        assert replies["replies"] == [{"publish": {}}] * posts, replies


@asynccontextmanager
async def uwebsockets(stage: Stage) -> AsyncIterator[Rival]:
    """Run a server of uWebSockets; raises :class:`~integration.bench.built.Missing`."""
    folder = await built.socketify(stage.scratch)
    environment = {"PYTHONPATH": str(folder)}
    command = (sys.executable, "-m", "integration.bench.uwebsockets")
    async with program(UWEBSOCKETS, *command, environment=environment) as server:
        try:
            port = (await server.answer())["port"]
        except NoAnswer as error:
            raise built.Missing(str(error)) from error
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:

            async def publish(posts: int) -> None:
                async with http.get(f"/publish/{posts}") as answer:
                    assert answer.status == _HTTP_OK, answer.status

            yield Rival(psutil.Process(server.pid), port, publish)
