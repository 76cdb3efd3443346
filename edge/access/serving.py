"""Serves an aiohttp application on one host and port, every connection through a gate."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from edge.access.entrance import Gate
from edge.access.http import handlers
from edge.access.listener import Listener

_SHUTDOWN_SECONDS: Final = 1.0
"""How long requests that are being answered may take at the end."""


@asynccontextmanager
async def serving(
    application: web.Application,
    gate: Gate,
    *,
    host: str,
    port: int,
    reuse_port: bool = False,
    keepalive_seconds: float,
    unsent_bytes: int,
) -> AsyncIterator[Listener]:
    """Listen meanwhile; afterwards end all connections but those that were handed over.

    ``keepalive_seconds`` is how long a connection may be idle between two requests; for ``unsent_bytes`` see
    :class:`Listener`. Raises :class:`OSError` when the address is taken, or not ours to listen on.
    """
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    assert runner.server is not None  # noqa: S101 - it was set up
    handler = handlers(
        runner.server,
        gate.answers,
        gate.origins,
        keepalive_seconds=keepalive_seconds,
        # Of a larger head nothing arrives there.
        head_bytes=gate.rules.head_bytes,
    )
    listener = Listener(gate, handler, unsent_bytes=unsent_bytes)
    try:
        await listener.open(host, port, reuse_port=reuse_port)
        yield listener
    finally:
        listener.close()
        await runner.cleanup()
        # aiohttp has these no more.
        gate.lingering.finish()
