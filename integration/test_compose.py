"""``compose.yaml`` brings all of it up, the edge shows the demo's posts, and nothing is left of it afterwards."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Collection, Iterator
from typing import Any, Final, cast

import pytest
import websockets
from aiohttp import ClientSession

from integration import packages
from integration.composer import AUTHOR
from integration.conftest import lacking
from integration.containers import KAFKA_IMAGE, POSTGRES_IMAGE, RABBITMQ_IMAGE, why_no_image
from integration.image import ROOT, docker
from integration.ports import free_port
from integration.posts_service import USERS
from tests.strict import StrictConnection

PATIENCE: Final = 180.0
"""Seven containers start at once, and the worker last: 40 s on busy cores."""
IMAGES: Final = {"RABBITMQ_IMAGE": RABBITMQ_IMAGE, "POSTGRES_IMAGE": POSTGRES_IMAGE, "KAFKA_IMAGE": KAFKA_IMAGE}


@pytest.fixture(scope="module")
def compose(base: str) -> tuple[str, ...]:
    """Return the command, where there is an engine: its plugin, or the program of its own that Debian has."""
    assert base
    plugin = ("docker", "compose")
    if not subprocess.run([*plugin, "version"], check=False, capture_output=True).returncode:
        return plugin
    try:
        if shutil.which("docker-compose") is None:
            packages.install("docker-compose")
    except packages.MissingPackagesError as error:
        lacking(str(error))
    return ("docker-compose",)


class Project:
    """One project of Compose, under a name of its own."""

    def __init__(self, compose: tuple[str, ...], image: str) -> None:
        self.name = f"postcast-test-{secrets.token_hex(4)}"
        self.port, self.composer = free_port(), free_port()
        self._compose = compose
        ports = {"EDGE_PORT": str(self.port), "COMPOSER_PORT": str(self.composer)}
        self._environment = {**os.environ, "POSTCAST_IMAGE": image, **ports}

    def run(self, *arguments: str) -> str:
        """Run a command of Compose to its end, and return what it printed."""
        done = subprocess.run(
            [*self._compose, f"--project-name={self.name}", *arguments],
            cwd=ROOT,
            env=self._environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def containers(self, *filters: str) -> list[str]:
        """Return the ids of its containers."""
        label = f"--filter=label=com.docker.compose.project={self.name}"
        return docker("ps", "--all", "--quiet", label, *filters).split()


@pytest.fixture
def project(compose: tuple[str, ...], image: str) -> Iterator[Project]:
    """Lend a project, and see that all of it is gone afterwards."""
    for variable, default in IMAGES.items():
        if obstacle := why_no_image(os.environ.get(variable) or default):
            lacking(obstacle)
    made = Project(compose, image)
    volumes: list[str] = []
    try:
        yield made
        names = '{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}'
        volumes = docker("inspect", f"--format={names}", *made.containers()).split()
    finally:
        made.run("down", "--volumes", "--remove-orphans", "--timeout=20")
    assert made.containers() == []
    assert docker("network", "ls", "--quiet", f"--filter=name={made.name}") == ""
    assert set(docker("volume", "ls", "--quiet").split()) & set(volumes) == set()


async def test_it_brings_all_up_and_the_edge_shows_posts(project: Project) -> None:
    await asyncio.to_thread(project.run, "up", "--detach", "--no-build")
    try:
        assert await post_of(project.port, USERS)
        await until_healthy(project, 5)
        shown = asyncio.create_task(post_of(project.port, {AUTHOR}))
        address = f"http://127.0.0.1:{project.composer}/"
        async with ClientSession(headers={"Origin": f"http://127.0.0.1:{project.port}"}) as page:
            async with page.post(f"{address}posts", json={"text": "Hello", "picture": True}) as answer:
                assert answer.status == 201
            post = await shown
            assert post["description"] == "Hello"
            [image] = post["image_urls"]
            async with page.get(image) as picture:
                assert (picture.status, picture.content_type) == (200, "image/svg+xml")
    except TimeoutError:
        pytest.fail(await asyncio.to_thread(project.run, "logs", "--tail=20"))


async def post_of(port: int, authors: Collection[str]) -> dict[str, Any]:
    """Wait for the next post by one of these authors that the edge shows, and return it."""
    # Should it be shown before we are there.
    url = f"ws://127.0.0.1:{port}/?history=20"
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(OSError, websockets.WebSocketException):
                async with websockets.connect(url, create_connection=StrictConnection) as client:
                    async for message in client:
                        told: dict[str, Any] = json.loads(message)
                        if told["action"] == "created" and told["payload"]["user"]["username"] in authors:
                            return cast("dict[str, Any]", told["payload"])
            await asyncio.sleep(0.2)


async def until_healthy(project: Project, number: int) -> None:
    """Return when so many containers are healthy: all but the producer and the composer, which have no check."""
    async with asyncio.timeout(PATIENCE):
        healthy = (
            "ps",
            "--quiet",
            "--filter=health=healthy",
            f"--filter=label=com.docker.compose.project={project.name}",
        )
        while len((await asyncio.to_thread(docker, *healthy)).split()) < number:
            await asyncio.sleep(0.2)
