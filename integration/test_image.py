"""The image: small, without rights, and both processes run from it as its users are told to run them.

The engine is asked through its command-line client, as a user would. Whatever runs has the host's network, where the
backing services are found at the same addresses whichever way they are run.
"""

import asyncio
import json
import os
import re
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import aio_pika
import asyncpg
import pytest
import websockets

from integration.child import Child
from integration.image import ROOT, docker
from integration.ports import free_port
from integration.posts_service import NewPost, announce, declare_queue, insert_posts
from integration.services import Services
from runtime import __version__
from tests.strict import StrictConnection

WORKER: Final = ("faust", "-q", "-A", "streams.app", "worker", "-l", "info")
MOST_BYTES: Final = 100_000_000
"""How much the image may add to its base."""
READY_SECONDS: Final = 60.0
"""How long a process may take to become ready: the health check's own start period."""
NO_RIGHTS: Final = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
"""What the Kubernetes base takes away, too."""


@contextmanager
def running(image: str, *command: str, options: tuple[str, ...], log: Path) -> Iterator[Child]:
    """Run a container in the foreground: its client passes signals on, ends with its exit code and removes it.

    Should the tests be killed, the client gets SIGTERM and so does the container, which hears it once it has started:
    as process 1 it is not subject to a signal that it does not handle yet.
    """
    name = f"postcast-test-{secrets.token_hex(4)}"
    child = Child(
        ["docker", "run", "--rm", f"--name={name}", "--health-interval=1s", *NO_RIGHTS, *options, image, *command],
        log=log,
        environment=os.environ,
    )
    child.start()
    try:
        until(lambda: name in docker("ps", "--format={{.Names}}").split(), child)
        until(lambda: docker("inspect", "--format={{.State.Health.Status}}", name) == "healthy", child)
        yield child
    finally:
        # Without a container of that name the client says so and fails, which is the ordinary case.
        subprocess.run(["docker", "rm", "--force", "--volumes", name], check=False, capture_output=True)
        child.stop()


def until(condition: Callable[[], bool], child: Child) -> None:
    """Return when the condition holds; fail with the process's last words when it ends before, or takes too long."""
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        assert child.is_alive(), child.tail()
        assert time.monotonic() < deadline, child.tail()
        time.sleep(0.1)


def answers(port: int, path: str) -> bool:
    """Ask a process on this machine whether all is well."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def ends_well(child: Child) -> bool:
    """Send SIGTERM and tell whether the process ended by itself, without an error."""
    child.stop(patience=READY_SECONDS)
    return child.exit_code == 0


def test_it_adds_at_most_100_mb_to_its_base(image: str, base: str) -> None:
    """Dependencies, bytecode and all; the sizes are those of the layers, unpacked."""

    def size(name: str) -> int:
        return sum(map(int, docker("history", "--human=false", "--format={{.Size}}", name).split()))

    assert 0 < size(image) - size(base) <= MOST_BYTES


def test_its_user_is_nobody_and_owns_nothing(image: str) -> None:
    """The process has a fixed number that is not root's, and no file of the image is its own."""
    assert docker("run", "--rm", *NO_RIGHTS, image, "id", "-u") == "10001"
    assert docker("run", "--rm", "--user=0", image, "find", "/", "-xdev", "-user", "10001") == ""


def test_it_holds_only_what_runs(image: str) -> None:
    """No tests, no secrets, no history; and nothing to install more with."""
    assert docker("run", "--rm", image, "ls", "-A", "/app").split() == [
        *(".env.example", "LICENSE", "edge", "runtime", "streams")
    ]
    assert "No module named pip" in docker("run", "--rm", image, "python", "-m", "pip", code=1)


def test_it_says_which_release_it_is_and_explains_its_settings(image: str) -> None:
    """The link to the example environment leads to it here, too."""
    assert re.fullmatch(
        rf"postcast {__version__} \(image\), Python [\d.]+",
        docker("run", "--rm", image, "python", "-m", "edge", "--version"),
    )
    assert (
        docker("run", "--rm", image, "python", "-m", "streams", "--settings")
        == (ROOT / ".env.example").read_text("utf-8").strip()
    )


@pytest.mark.parametrize(("command", "variable"), [((), "KAFKA_URL"), (WORKER, "AMQP_URL")], ids=["edge", "worker"])
def test_without_settings_both_say_what_is_missing(image: str, command: tuple[str, ...], variable: str) -> None:
    """The default command is the edge, the worker is the other; each ends with code 1 and a sentence a variable."""
    first, *others = docker("run", "--rm", *NO_RIGHTS, image, *command, code=1).splitlines()
    assert variable in first
    assert [line for line in (first, *others) if not line.endswith(".")] == []


def test_the_edge_runs_with_a_published_port_and_the_example_environment(image: str, tmp_path: Path) -> None:
    """``docker run -p 8080:8080 --env-file .env`` works, before Kafka does too; SIGTERM ends it well."""
    port = free_port()
    options = (f"--publish=127.0.0.1:{port}:8080", "--env-file=.env.example")
    with running(image, options=options, log=tmp_path / "edge.log") as edge:
        assert answers(port, "/livez")
        assert not answers(port, "/readyz")
        assert ends_well(edge), edge.tail()


def test_the_mock_runs_from_it_without_any_settings(image: str, tmp_path: Path) -> None:
    """As the documentation says it; all addresses of the container are asked for by name."""
    port = free_port()
    command = ("python", "-m", "edge.mock", "--host", "0.0.0.0")
    with running(image, *command, options=(f"--publish=127.0.0.1:{port}:8080",), log=tmp_path / "mock.log") as mock:
        assert answers(port, "/readyz")
        assert answers(port, "/posts?offset=-1")
        assert ends_well(mock), mock.tail()


def test_its_health_check_asks_where_an_edge_serves_its_probes(image: str, tmp_path: Path) -> None:
    """With ``ADMIN_PORT`` the clients' port has none; a container that runs is a healthy one."""
    port, admin_port = free_port(), free_port()
    options = (
        f"--publish=127.0.0.1:{port}:8080",
        f"--publish=127.0.0.1:{admin_port}:8081",
        "--env-file=.env.example",
        "--env=ADMIN_PORT=8081",
    )
    with running(image, options=options, log=tmp_path / "edge.log") as edge:
        assert answers(admin_port, "/livez")
        assert not answers(port, "/livez")
        assert answers(port, "/")
        assert ends_well(edge), edge.tail()


def test_a_post_reaches_a_client_through_both_processes(
    image: str, services: Services, product: dict[str, str], tmp_path: Path
) -> None:
    """Worker and edge, each from the image and without any rights, show a post; SIGTERM ends both well."""
    edge_port, worker_port, mark = free_port(), free_port(), f"image-{secrets.token_hex(4)}"
    settings = {
        **product,
        "EDGE_PORT": edge_port,
        "WORKER_PORT": worker_port,
        "WINDOW_SECONDS": 1,
        # Other installations use the same services.
        "APP_ID": mark,
        "QUEUE_NAME": mark,
        "CREATED_TOPIC": f"{mark}.created",
        "FEED_TOPIC": f"{mark}.feed",
        "DEAD_TOPIC": f"{mark}.dead",
    }
    file = tmp_path / "environment"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    options = ("--network=host", f"--env-file={file}")
    with (
        running(image, *WORKER, options=options, log=tmp_path / "worker.log") as worker,
        running(image, options=options, log=tmp_path / "edge.log") as edge,
    ):
        until(lambda: answers(worker_port, "/readyz"), worker)
        until(lambda: answers(edge_port, "/readyz"), edge)
        expected, shown = asyncio.run(publish_and_receive(services, mark, edge_port))
        assert shown == expected
        assert ends_well(worker), worker.tail()
        assert ends_well(edge), edge.tail()


async def publish_and_receive(services: Services, queue: str, edge_port: int) -> tuple[object, object]:
    """Publish a post as the replaced system does; return the message that clients should get, and the one that came."""
    async with (
        asyncio.timeout(READY_SECONDS),
        websockets.connect(f"ws://127.0.0.1:{edge_port}/", create_connection=StrictConnection) as client,
        await aio_pika.connect(services.rabbitmq.url) as broker,
    ):
        database = await asyncpg.connect(services.postgres.url)
        try:
            user = await database.fetchrow("SELECT id, username FROM users LIMIT 1")
            keys = (f"{queue}/1.jpg", f"{queue}/2.jpg")
            post = NewPost("From the image", datetime(2024, 1, 1), user["id"], keys, (user["id"],))
            (id_,) = await insert_posts(database, [post])
        finally:
            await database.close()
        channel = await broker.channel(publisher_confirms=False)
        await declare_queue(channel, queue)
        await announce(channel, [b"%d" % id_], queue)
        payload = {
            "id": id_,
            "description": "From the image",
            "created_at": "2024-01-01T00:00:00Z",
            "user": dict(user),
            "is_liked": False,
            "image_urls": list(keys),
            "likes_count": 1,
        }
        return {"action": "created", "payload": payload}, json.loads(await client.recv())
