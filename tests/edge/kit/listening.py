"""A server on loopback, run as the edge runs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from edge.access.entrance import Gate, Rules
from edge.access.http import handlers
from edge.access.limits import Census
from edge.access.listener import Listener
from edge.wire.allowance import Traffic

# The settings' defaults.
TRAFFIC = Traffic(messages=10, bytes=65536, pings=10, message_bytes=65536, fragments=64)
RULES = Rules(handshake_seconds=10, head_bytes=16384, traffic=TRAFFIC)


def gate(rules: Rules = RULES, total: int = 100, per_address: int = 0) -> Gate:
    """Make a gate with limits that no test meets by accident."""
    return Gate(rules, Census(total=total, per_address=per_address))


@asynccontextmanager
async def listening(application: web.Application, through: Gate | None = None) -> AsyncIterator[int]:
    """Serve on a free port meanwhile, and name it."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    assert runner.server is not None
    through = through or gate()
    handler = handlers(runner.server, through.answers, keepalive_seconds=75)
    listener = Listener(through, handler, unsent_bytes=1 << 16)
    try:
        await listener.open("127.0.0.1", 0)
        yield listener.addresses[0][1]
    finally:
        listener.close()
        await runner.cleanup()
