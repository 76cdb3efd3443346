"""Serves on the ports that the settings name, or says in a sentence why that is not possible."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import structlog
from aiohttp import web

from edge.access.entrance import Gate
from edge.access.listener import Listener
from edge.access.serving import serving
from edge.settings import Settings

_logger = structlog.get_logger("edge.app")


class CannotListen(OSError):
    """The address is taken, or not ours to listen on."""


@asynccontextmanager
async def serving_port(
    name: Literal["EDGE", "ADMIN"], application: web.Application, gate: Gate, settings: Settings
) -> AsyncIterator[Listener]:
    """Serve on the address that the settings of this name say; raise :class:`CannotListen`, which names them."""
    host, port = settings.edge_host, settings.edge_port
    if name == "ADMIN":
        host, port = settings.admin_host or host, settings.admin_port
    async with AsyncExitStack() as stack:
        opening = serving(
            application,
            gate,
            host=host,
            port=port,
            # Which of several edges answers is the same to clients, and not to operators.
            reuse_port=settings.reuse_port and name == "EDGE",
            keepalive_seconds=settings.keepalive_seconds,
            unsent_bytes=settings.write_bytes,
        )
        try:
            listener = await stack.enter_async_context(opening)
        except OSError as error:
            where = f"{name}_HOST {host}, {name}_PORT {port}"
            raise CannotListen(f"The edge cannot listen on {where}: {error.strerror}.") from error
        for address in listener.addresses:
            _logger.info("edge.listening" if name == "EDGE" else "admin.listening", host=address[0], port=address[1])
        yield listener
