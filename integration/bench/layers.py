"""What a connection consists of, layer by layer: servers that each have one layer more than the one before.

``python -m integration.bench.layers LAYER`` serves that layer and all before it, and replies with its ``port``. The
last layer, what the edge keeps of a client, is not here: that is the edge itself.
"""

import asyncio
import sys
from typing import Final, cast

from aiohttp import web

from edge.access.entrance import Entrance, Gate
from edge.access.http import NOWHERE, Http, handlers
from edge.access.limits import Census
from edge.access.listener import Listener
from edge.access.rules import Rules
from edge.wire.allowance import Traffic
from integration.bench.bare_writes import UPGRADED
from integration.bench.companion import reply

TRANSPORT: Final = "asyncio: a socket, its transport and a protocol that does nothing"
ANSWERED: Final = "aiohttp: the entrance, the request, and its answer"
TAKEN: Final = "the takeover: what aiohttp has made for the handshake, and lets go of"
LAYERS: Final = (TRANSPORT, TAKEN)
"""What stays of a connection: what aiohttp makes to answer is gone after the takeover."""
STEPS: Final = (TRANSPORT, ANSWERED, TAKEN)
"""What is done for a connection, one after the other."""

_HOUR_SECONDS: Final = 3_600.0
_BACKLOG: Final = 1024
_MANY: Final = 1_000_000
"""No limit is met here."""


class _Bare(asyncio.Protocol):
    """Takes everything for a handshake. The clients trust the answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, _data: bytes) -> None:
        self._transport.write(UPGRADED)


async def _answer(_request: web.Request) -> web.Response:
    """Accept the handshake as any other request is answered; the clients trust the answer."""
    return web.Response(status=101, headers={"Upgrade": "websocket", "Connection": "Upgrade"})


async def _take(request: web.Request) -> web.Response:
    """Take the connection over, as the edge does, and keep nothing of it."""
    http = request.protocol
    assert isinstance(http, Http)
    assert http.transport is not None
    transport, entrance = http.transport, http.transport.get_protocol()
    assert isinstance(entrance, Entrance)
    entrance.hand_over()
    http.hand_over(_Bare())
    transport.write(UPGRADED)
    return NOWHERE


async def _serve(layer: str) -> int:
    """Listen; return the port."""
    loop = asyncio.get_running_loop()
    if layer == TRANSPORT:
        server = await loop.create_server(_Bare, "127.0.0.1", 0, backlog=_BACKLOG)
        return int(server.sockets[0].getsockname()[1])
    application = web.Application()
    application.router.add_get("/", {ANSWERED: _answer, TAKEN: _take}[layer])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    assert runner.server is not None
    gate = _gate()
    handler = handlers(runner.server, gate.answers, gate.origins, keepalive_seconds=_HOUR_SECONDS, head_bytes=_MANY)
    listener = Listener(gate, handler, unsent_bytes=1 << 16)
    await listener.open("127.0.0.1", 0)
    return listener.addresses[0][1]


def _gate() -> Gate:
    traffic = Traffic(messages=_MANY, bytes=_MANY, pings=_MANY, message_bytes=_MANY, fragments=_MANY)
    rules = Rules(handshake_seconds=_HOUR_SECONDS, head_bytes=_MANY, stalled_seconds=_HOUR_SECONDS, traffic=traffic)
    return Gate(rules, Census(total=_MANY, per_address=0))


async def _main() -> None:
    reply(port=await _serve(sys.argv[1]))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(_main())
