"""The demo's composer publishes for the page of its edge, and for nobody else."""

import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aio_pika
import asyncpg
import pytest
from aiohttp import ClientSession, web

from integration import composer
from integration.composer import AUTHOR, Written, application, origins
from integration.pictures import picture
from integration.services import Services

PAGE: Final = "http://localhost:8080"
JSON: Final = {"Origin": PAGE, "Content-Type": "application/json"}


class Server:
    """The composer on loopback; ``written`` is what was published."""

    def __init__(self) -> None:
        self.written: list[Written] = []
        self.error: Exception | None = None
        self.url = ""

    async def publish(self, written: Written) -> int:
        if self.error is not None:
            raise self.error
        self.written.append(written)
        return 41 + len(self.written)

    async def ask(
        self, method: str, path: str, body: str = "", headers: Mapping[str, str] = JSON
    ) -> tuple[int, Any, Mapping[str, str]]:
        async with (
            ClientSession() as client,
            client.request(method, self.url + path, data=body.encode() or None, headers=headers) as response,
        ):
            is_json = response.content_type == "application/json"
            return response.status, await (response.json() if is_json else response.text()), response.headers


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    runner = web.AppRunner(application(origins(8080), server.publish))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


async def test_what_is_written_on_the_page_is_published(server: Server) -> None:
    status, body, headers = await server.ask("POST", "/posts", '{"text":" Hello\\u0000 you ","picture":true}')
    assert (status, body, headers["Access-Control-Allow-Origin"]) == (201, {"id": 42}, PAGE)
    assert server.written == [Written("Hello you", picture=True)]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ('{"text":"a"}', {**JSON, "Origin": "http://evil.example"}, 403),
        ('{"text":"a"}', {**JSON, "Origin": "http://localhost:8081"}, 403),
        ('{"text":"a"}', {**JSON, "Origin": "null"}, 403),
        ('{"text":"a"}', {"Content-Type": "application/json"}, 403),
        ('{"text":"a"}', {**JSON, "Content-Type": "text/plain"}, 415),
        ('{"text":"  "}', JSON, 400),
        ('{"text":"' + 501 * "a" + '"}', JSON, 400),
        ('{"text":"a","id":7}', JSON, 400),
        ("text=a", JSON, 400),
        ("[" * 10_000, JSON, 400),
    ],
)
async def test_everything_else_is_refused(server: Server, body: str, headers: Mapping[str, str], status: int) -> None:
    assert (await server.ask("POST", "/posts", body, headers))[0] == status
    assert server.written == []


async def test_a_browser_is_told_which_pages_may_publish(server: Server) -> None:
    for origin, status in ((PAGE, 204), ("http://127.0.0.1:8080", 204), ("http://evil.example", 403)):
        answer, _, headers = await server.ask("OPTIONS", "/posts", headers={"Origin": origin})
        assert (answer, headers.get("Access-Control-Allow-Origin")) == (status, origin if status == 204 else None)


async def test_services_that_are_away_are_one_sentence(server: Server) -> None:
    server.error = OSError("RabbitMQ is away")
    status, body, _ = await server.ask("POST", "/posts", '{"text":"a"}')
    assert (status, body["error"]) == (503, "the services are not ready: RabbitMQ is away")


async def test_each_key_has_its_picture_and_always_the_same(server: Server) -> None:
    status, svg, headers = await server.ask("GET", "/pictures/0b1d-22.svg")
    assert (status, headers["Content-Type"]) == (200, "image/svg+xml; charset=utf-8")
    assert svg == picture("pictures/0b1d-22.svg") != picture("pictures/0b1d-23.svg")
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own
    assert (await server.ask("GET", "/pictures/%3Cscript%3E.svg"))[0] == 404


def test_a_demo_s_processes_know_of_each_other() -> None:
    assert composer.variables(8081, {}) == {
        "DEMO_PORT": "8081",
        "COMPOSE_URL": "http://127.0.0.1:8081/posts",
        "IMAGE_BASE_URL": "http://127.0.0.1:8081/",
    }
    assert composer.variables(8081, {"IMAGE_BASE_URL": "https://a/"})["IMAGE_BASE_URL"] == "https://a/"
    assert origins(80) == {"http://127.0.0.1", "http://localhost", "http://[::1]"}


async def test_it_goes_the_real_way(services: Services) -> None:
    """Into the database, then onto the queue."""
    queue = "composed"
    urls = {"amqp_url": services.rabbitmq.url, "database_url": services.postgres.url}
    first = await composer.publish(Written("one", picture=True), **urls, queue=queue)
    second = await composer.publish(Written("two", picture=False), **urls, queue=queue)
    database = await asyncpg.connect(services.postgres.url)
    rows = await database.fetch(
        "SELECT p.id, description, username, key FROM posts p JOIN users u ON u.id = owner_id"
        " LEFT JOIN image_key ON post_id = p.id WHERE p.id = ANY($1) ORDER BY p.id",
        [first, second],
    )
    await database.close()
    assert [tuple(row)[:3] for row in rows] == [(first, "one", AUTHOR), (second, "two", AUTHOR)]
    assert [bool(row["key"]) for row in rows] == [True, False]
    async with await aio_pika.connect(services.rabbitmq.url) as broker:
        waiting = await (await broker.channel()).get_queue(queue)
        bodies = [(await waiting.get(no_ack=True)).body for _ in range(2)]
    assert bodies == [str(first).encode(), str(second).encode()]
