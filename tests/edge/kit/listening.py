"""A server on loopback, run as the edge runs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from edge.access.entrance import Gate
from edge.access.limits import Census
from edge.access.origins import EVERYBODY, Origins
from edge.access.rules import Rules
from edge.access.serving import serving
from edge.wire.allowance import Traffic

# The settings' defaults.
TRAFFIC = Traffic(messages=10, bytes=65536, pings=10, message_bytes=65536, fragments=64)
RULES = Rules(handshake_seconds=10, head_bytes=16384, stalled_seconds=600, traffic=TRAFFIC)


def gate(
    rules: Rules = RULES, total: int = 100, per_address: int = 0, origins: Origins = EVERYBODY, per_subject: int = 0
) -> Gate:
    """Make a gate with limits that no test meets by accident."""
    return Gate(rules, Census(total=total, per_address=per_address, per_subject=per_subject), origins)


@asynccontextmanager
async def listening(application: web.Application, through: Gate | None = None) -> AsyncIterator[int]:
    """Serve on a free port meanwhile, and name it."""
    through = through or gate()
    async with serving(
        application, through, host="127.0.0.1", port=0, keepalive_seconds=75, unsent_bytes=1 << 16
    ) as listener:
        yield listener.addresses[0][1]
