"""The worker serves its health and its metrics, and nothing of Faust's own."""

import socket
from typing import Any

import faust
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from faust.web.base import BLUEPRINT_FLAGS
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from streams.progress import Progress
from streams.web import HealthWeb, serve_health


class Bench:
    """A Faust app with our web server, which is asked without a connection."""

    def __init__(self, port: int = 6066, **settings: Any) -> None:
        self.progress = Progress(lambda: 0.0)
        self.registry = CollectorRegistry()
        self.app = faust.App("bench", broker="kafka://broker", web_port=port, **settings)
        self.web = HealthWeb(self.app)
        self.app.web = self.web
        serve_health(self.app, self.progress, self.registry)

    async def get(self, path: str) -> web.Response:
        request = make_mocked_request("GET", path)
        match = await self.web.web_app.router.resolve(request)
        response = await match.handler(request)
        assert isinstance(response, web.Response)
        return response


@pytest.fixture
async def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("settings", [{}, dict.fromkeys(BLUEPRINT_FLAGS.values(), True)], ids=["default", "all on"])
async def test_nothing_but_health_and_metrics_is_served(settings: dict[str, bool]) -> None:
    """Faust's pages would show the worker's inside (tables, routes, statistics) to everybody.

    Each is switched by a setting of Faust's, which the environment can set.
    """
    bench = Bench(**settings)
    bench.web.init_server()
    routes = {
        (route.method, route.resource and route.resource.canonical) for route in bench.web.web_app.router.routes()
    }
    assert routes == {(method, path) for method in ("GET", "HEAD") for path in ("/livez", "/readyz", "/metrics")}


async def test_a_worker_that_waits_is_alive_and_not_ready(bench: Bench) -> None:
    with bench.progress.stage("bridge").work() as work:
        work.waits("rabbitmq", "waiting for RabbitMQ: refused")
        livez, readyz = await bench.get("/livez"), await bench.get("/readyz")
        assert (livez.status, livez.text) == (200, "ok\n")
        assert (readyz.status, readyz.text) == (503, "bridge: waiting for RabbitMQ: refused\n")
        assert readyz.content_type == "text/plain"
        work.progressed()
        readyz = await bench.get("/readyz")
        assert (readyz.status, readyz.text) == (200, "ok\n")


async def test_the_metrics_are_those_of_the_registry_when_they_are_asked_for(bench: Bench) -> None:
    gauge = Gauge("answer", "All of them", registry=bench.registry)
    gauge.set(42)
    response = await bench.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    assert isinstance(response.body, bytes)
    [family] = text_string_to_metric_families(response.body.decode())
    assert [(sample.name, sample.value) for sample in family.samples] == [("answer", 42)]


async def test_a_port_that_is_taken_ends_the_worker_with_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bench = Bench(port)
        bench.web.init_server()
        with pytest.raises(SystemExit) as ended:
            await bench.web.start_server()
        await bench.web.stop_server()
    sentence = str(ended.value.code)
    assert sentence.startswith(f"WORKER_PORT {port} cannot be listened on: ")
    assert sentence.endswith("ddress already in use; set another.")
