"""The image's health check, run as it stands in the Dockerfile: whom it asks, and what it makes of the answer."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

DOCKERFILE = Path(__file__).parents[1] / "Dockerfile"


class Edge(BaseHTTPRequestHandler):
    """Answers that it lives, and nothing else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def alive() -> Iterator[int]:
    """Serve on loopback meanwhile, and name the port."""
    with HTTPServer(("127.0.0.1", 0), Edge) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server.server_port
        server.shutdown()
        serving.join()


@pytest.fixture
def dead() -> Iterator[int]:
    """Name a port on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def is_healthy(**environment: object) -> bool:
    """Run the health check of a container with this environment; one of an edge, since no worker is process 1 here."""
    [script] = re.findall(r'HEALTHCHECK .*python -c "(.*?)"', DOCKERFILE.read_text(), re.DOTALL)
    given = {name: str(value) for name, value in environment.items()}
    check = subprocess.run(
        [sys.executable, "-c", script.replace("\\\n", "")],
        check=False,
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True,
    )
    return check.returncode == 0


def test_an_edge_is_asked_where_it_serves_its_probes(alive: int, dead: int) -> None:
    """On the clients' port unless it has another for that; on any address, or on the one that was set."""
    assert is_healthy(EDGE_PORT=alive)
    assert is_healthy(EDGE_PORT=alive, ADMIN_PORT=0, EDGE_HOST="0.0.0.0")
    assert is_healthy(EDGE_PORT=dead, ADMIN_PORT=alive)
    assert is_healthy(EDGE_PORT=dead, ADMIN_PORT=alive, EDGE_HOST="127.0.0.2", ADMIN_HOST="127.0.0.1")
    assert is_healthy(EDGE_PORT=dead, ADMIN_PORT=alive, EDGE_HOST="127.0.0.1", ADMIN_HOST="")


def test_an_edge_that_does_not_answer_is_not_healthy(alive: int, dead: int) -> None:
    assert not is_healthy(EDGE_PORT=dead)
    assert not is_healthy(EDGE_PORT=alive, ADMIN_PORT=dead)
    assert not is_healthy(EDGE_PORT=alive, EDGE_HOST="127.0.0.2")
