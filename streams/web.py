"""The worker's own web server: liveness, readiness and metrics, and nothing else of Faust's."""

from typing import Any, ClassVar

import faust
from aiohttp import web
from faust.web.drivers.aiohttp import Web as AiohttpWeb
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from streams.progress import Progress
from streams.telemetry import readiness


class HealthWeb(AiohttpWeb):
    """Faust's web server without its own pages, which show the worker's inside to everybody."""

    default_blueprints: ClassVar[Any] = ()
    production_blueprints: ClassVar[Any] = ()
    debug_blueprints: ClassVar[Any] = ()
    optional_blueprints: ClassVar[Any] = ()

    async def start_server(self) -> None:
        """Listen; a port that is taken ends the worker with one sentence."""
        try:
            await super().start_server()
        except OSError as error:
            port = self.app.conf.web_port
            raise SystemExit(f"WORKER_PORT {port} cannot be listened on: {error.strerror}; set another.") from None


def serve_health(app: faust.App, progress: Progress, registry: CollectorRegistry) -> None:
    """Serve ``/livez``, ``/readyz`` and ``/metrics``."""

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        status, text = readiness(progress)
        return web.Response(status=status, text=text)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    server = app.web
    assert isinstance(server, HealthWeb)  # noqa: S101 - Worker makes it
    server.web_app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)])
