"""Answers operators: health probes and metrics, on the clients' port or on a port of their own."""

from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from edge.access.http import without_server_header


class Readiness(NamedTuple):
    """Whether new clients should come here, and a sentence that says why."""

    is_ready: bool
    sentence: str


class Admin:
    """Serves ``/livez``, ``/readyz`` and ``/metrics``."""

    def __init__(self, readiness: Callable[[], Readiness], registry: CollectorRegistry) -> None:
        self._readiness = readiness
        self._registry = registry

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for an application that serves others, too."""
        return [
            web.get("/livez", self._livez),
            web.get("/readyz", self._readyz),
            web.get("/metrics", self._metrics),
        ]

    def application(self) -> web.Application:
        """Make an application of these routes alone."""
        application = web.Application()
        application.on_response_prepare.append(without_server_header)
        application.add_routes(self.routes())
        return application

    async def _livez(self, _request: web.Request) -> web.Response:
        return web.Response(text="The event loop answers.\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        is_ready, sentence = self._readiness()
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return web.Response(status=status, text=f"{sentence}\n")

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
