"""Installations of Postcast under test: the worker and the edge as the processes that users run.

Everything here blocks, as the backing services do: call it from a thread where an event loop must go on.
"""

import http.client
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from prometheus_client.parser import text_string_to_metric_families

from integration.child import Child
from integration.ports import free_port

READY_SECONDS: Final = 60.0
"""How long a process may take to be ready. On a quiet machine a worker takes 5 s, or 10 s after one that was killed."""
STOP_SECONDS: Final = 45.0
"""How long SIGTERM may take: the worker drains the bridge and settles its batch, the edge waits 10 s for clients."""
_ASK_AGAIN_SECONDS: Final = 0.05
_ANSWER_SECONDS: Final = 15.0
_TELLING_LINES: Final = 20
_LAST_LINES: Final = 5
_LINE: Final = 2_000
"""How much of a line is shown: a traceback is one line of JSON."""
_ROOT: Final = Path(__file__).parent.parent
_WORKER: Final = "streams.app"
_EDGE: Final = "edge"


class Process:
    """One process of the product.

    ``port`` is that of its HTTP server, ``admin_port`` where it answers operators if that is another; ``log`` is the
    file with its output.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        port: int,
        admin_port: int | None = None,
        log: Path,
    ) -> None:
        self.name = name
        self.port = port
        self.admin_port = admin_port or port
        self.log = log
        self._child = Child([sys.executable, "-m", *command], log=log, environment=environment)

    def start(self) -> Self:
        """Start it, for the first time or again, and do not wait until it is ready."""
        self._child.start()
        return self

    def until_ready(self) -> Self:
        """Return when /readyz says that it waits for nothing."""
        self.until(lambda: self.ask("/readyz")[0] == http.client.OK, "is ready")
        return self

    def until(self, condition: Callable[[], bool], what: str, patience: float = READY_SECONDS) -> None:
        """Return when the condition holds; fail when the process ends before that, or takes too long."""
        deadline = time.monotonic() + patience
        while not condition():
            assert self.is_alive(), f"{self.name} ended with {self.exit_code} before it {what}:\n{self.tail()}"
            assert time.monotonic() < deadline, f"not within {patience:.0f} s: {self.name} {what}\n{self.tail()}"
            time.sleep(_ASK_AGAIN_SECONDS)

    def until_ended(self, patience: float = STOP_SECONDS) -> int:
        """Wait for it to end by itself; return its exit code."""
        deadline = time.monotonic() + patience
        while self._child.is_alive():
            assert time.monotonic() < deadline, f"{self.name} still runs after {patience:.0f} s:\n{self.tail()}"
            time.sleep(_ASK_AGAIN_SECONDS)
        assert self.exit_code is not None
        return self.exit_code

    def ask_to_end(self) -> None:
        """Send SIGTERM where it runs, and do not wait."""
        self._child.ask_to_end()

    def terminate(self) -> int:
        """Send SIGTERM where it runs, expect it to end by itself, and return its exit code."""
        self.ask_to_end()
        return self.until_ended()

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does."""
        self._child.kill()

    def close(self) -> None:
        """Have it gone, whatever it is doing."""
        self._child.kill()

    def pause(self) -> None:
        """Freeze it, as SIGSTOP does."""
        self._child.pause()

    def resume(self) -> None:
        """Let it go on."""
        self._child.resume()

    def is_alive(self) -> bool:
        """Tell whether it runs."""
        return self._child.is_alive()

    @property
    def exit_code(self) -> int | None:
        """The exit code when it has ended (negative: the signal that ended it), else None."""
        return self._child.exit_code

    def ask(self, path: str, port: int | None = None) -> tuple[int, str]:
        """Return the status and the text of a page, where operators ask for it; status 0 while nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.admin_port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def metric(self, name: str, **labels: str) -> float:
        """Return a sample of /metrics; 0 when there is none of that name."""
        _, text = self.ask("/metrics")
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return 0.0

    def connections(self, transport: str = "websocket") -> int:
        """Say how many clients an edge has that came by this transport."""
        return int(self.metric("postcast_edge_connections", transport=transport))

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return what it has logged under an event's name, oldest first."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [event for event in events if event.get("event") == name]

    def tail(self) -> str:
        """Return what its log says last, and before that whatever was more than information."""
        lines = self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
        telling = [number for number, line in enumerate(lines) if '"level": "info"' not in line][-_TELLING_LINES:]
        return "\n".join(lines[number][:_LINE] for number in sorted({*telling, *range(len(lines))[-_LAST_LINES:]}))

    @property
    def websocket(self) -> str:
        """Where clients connect, when it is an edge."""
        return f"ws://127.0.0.1:{self.port}/"


class System:
    """One installation: its own queue, topics and consumer group, so that several share the same brokers.

    ``variables`` are added to the environment of all its processes.
    """

    def __init__(self, environment: Mapping[str, str], logs: Path, **variables: object) -> None:
        self.name = f"test-{secrets.token_hex(4)}"
        self.processes: list[Process] = []
        self._logs = logs
        self.environment = {
            **os.environ,
            **environment,
            "PYTHONPATH": str(_ROOT),
            "PYTHONUNBUFFERED": "1",
            "APP_ID": self.name,
            "QUEUE_NAME": self.name,
            "CREATED_TOPIC": f"{self.name}.created",
            "FEED_TOPIC": f"{self.name}.feed",
            "DEAD_TOPIC": f"{self.name}.dead",
            "WINDOW_SECONDS": "1",
            "IMAGE_BASE_URL": "https://images.example/",
            "EDGE_HOST": "127.0.0.1",
            **{name: str(value) for name, value in variables.items()},
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End its processes."""
        for process in self.processes:
            process.close()

    def worker(self, module: str = _WORKER, /, **variables: object) -> Process:
        """Start a worker, and do not wait until it is ready. A variable that is None is not set for it."""
        port = free_port()
        command = ["faust", "-A", module, "worker", "-l", "info", f"--web-port={port}"]
        return self._start("worker", command, port, variables)

    def edge(self, module: str = _EDGE, /, **variables: object) -> Process:
        """Start an edge, on a port of its own unless ``EDGE_PORT`` is among its variables; do not wait for it.

        Operators ask at ``ADMIN_PORT``, if that is among its variables.
        """
        given, admin = variables.get("EDGE_PORT"), variables.get("ADMIN_PORT")
        port = given if isinstance(given, int) else free_port()
        admin_port = admin if isinstance(admin, int) else None
        return self._start("edge", [module], port, {"EDGE_PORT": port, **variables}, admin_port=admin_port)

    def _start(
        self,
        kind: str,
        command: Sequence[str],
        port: int,
        variables: Mapping[str, object],
        *,
        admin_port: int | None = None,
    ) -> Process:
        name = f"{kind}-{len(self.processes) + 1}"
        environment = {**self.environment, **{key: str(value) for key, value in variables.items() if value is not None}}
        for key in [key for key, value in variables.items() if value is None]:
            environment.pop(key, None)
        process = Process(
            name,
            command,
            environment,
            port=port,
            admin_port=admin_port,
            log=self._logs / f"{self.name}-{name}.log",
        )
        self.processes.append(process)
        return process.start()

    @property
    def queue(self) -> str:
        """The queue with the post ids."""
        return self.environment["QUEUE_NAME"]

    @property
    def created(self) -> str:
        """The topic of the ids."""
        return self.environment["CREATED_TOPIC"]

    @property
    def feed(self) -> str:
        """The topic of the feed."""
        return self.environment["FEED_TOPIC"]

    @property
    def dead(self) -> str:
        """The topic of the dead letters."""
        return self.environment["DEAD_TOPIC"]
