"""A running demo as others find it: where it listens, and the block of lines with which ``make run`` ends its start.

While a demo runs, a file in its scratch folder says where its services are; ``make post`` looks for such files.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import psutil

from integration.service import GivenService
from integration.services import SCRATCH, Services

DEFAULT_PORT: Final = 8080
_FILE: Final = "demo.json"


class NoDemoError(Exception):
    """No demo runs, or not the one that is meant; the message says what to do."""


@dataclass(frozen=True)
class Demo:
    """Where the parts of a running demo are."""

    pid: int
    edge_port: int
    health_port: int
    """Where the edge answers probes: its clients' port, or its admin port."""
    worker_port: int
    amqp_url: str
    database_url: str
    queue: str
    shows_posts: bool
    """Whether the tables in the database are the demo's own, so that posts may be written."""

    def write(self, scratch: Path) -> None:
        """Tell others of it, for as long as the folder exists. URLs hold passwords: the file is for us alone."""
        file = scratch / _FILE
        file.touch(mode=0o600)
        file.write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def find(cls, port: int | None) -> Self:
        """Return the running demo whose edge has this port, or the only one; raises :class:`NoDemoError`."""
        demos = sorted(cls._all(), key=lambda demo: demo.edge_port)
        ports = ", ".join(str(demo.edge_port) for demo in demos)
        if port is None and len(demos) > 1:
            raise NoDemoError(f"demos run on the ports {ports}; choose one with EDGE_PORT=…")
        chosen = [demo for demo in demos if port in {None, demo.edge_port}]
        if not chosen:
            raise NoDemoError(f"no demo runs on port {port}, but on {ports}" if demos else "no demo runs: make run")
        return chosen[0]

    @classmethod
    def _all(cls) -> Iterator[Self]:
        for file in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*/{_FILE}"):
            with contextlib.suppress(FileNotFoundError):  # it ends just now
                # Anybody may put a file there; and a demo that was killed leaves its folder behind.
                if file.stat().st_uid == os.geteuid() and psutil.pid_exists((demo := cls._read(file)).pid):
                    yield demo

    @classmethod
    def _read(cls, file: Path) -> Self:
        return cls(**json.loads(file.read_text("utf-8")))


def block(demo: Demo, services: Services) -> list[str]:
    """Return what to try now that all runs, a line each."""
    port = "" if demo.edge_port == DEFAULT_PORT else f" EDGE_PORT={demo.edge_port}"
    address = f"127.0.0.1:{demo.edge_port}"
    login = {
        # A login that was given to us is not ours to show.
        service.name: service.how if isinstance(service, GivenService) else service.url
        for service in services
    }
    rows = [
        ("page", f"http://{address}/"),
        ("WebSocket", f".venv/bin/python -m websockets 'ws://{address}/?history=20'"),
        ("", f'in a browser\'s console: new WebSocket("ws://{address}/").onmessage = event => console.log(event.data)'),
        ("your post", f'make post{port} TEXT="Hello"' if demo.shows_posts else "the tables are somebody's own"),
        ("edge", f"curl http://127.0.0.1:{demo.health_port}/readyz (and /metrics)"),
        ("worker", f"curl http://127.0.0.1:{demo.worker_port}/readyz (and /metrics)"),
        ("PostgreSQL", login["PostgreSQL"]),
        ("RabbitMQ", f"{login['RabbitMQ']} (the queue is {demo.queue})"),
        ("Kafka", login["Kafka"]),
        ("logs", f"{services.scratch}/*.log"),
        ("end", "Ctrl-C"),
    ]
    return [f"  {name:<12}{text}" for name, text in rows]
