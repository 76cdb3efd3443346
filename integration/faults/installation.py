"""The product's processes under a supervisor, as a cluster's would be: what ends is started again."""

import asyncio
import http.client
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from integration.faults.schedule import EDGES, WORKERS
from integration.ports import free_port
from integration.system import Process, System

WORKER: Final = "integration.faults.worker"
EDGE: Final = "edge"
WINDOW_SECONDS: Final = 2
PARTITIONS: Final = 8
"""Of posts.created; the product's own default."""
GRACE_SECONDS: Final = 60.0
"""How long a process may take to end in good order, as the manifests say in ``k8s/streams.yaml``."""

_LOOK_SECONDS: Final = 0.2
_MAX_RESTARTS: Final = 20
"""A process that ends so often by itself is broken, and not unlucky."""


class Member(Process):
    """A process of the product that has the time to end that a cluster gives it."""

    def is_ready(self) -> bool:
        """Tell whether it waits for nothing."""
        return self.ask("/readyz")[0] == http.client.OK

    def resident_bytes(self) -> int:
        """Return how much memory it has of the machine."""
        return self._child.resident_bytes()

    def terminate(self) -> int:
        """Send SIGTERM, and SIGKILL when the time is over, as a cluster does; return the exit code."""
        self._child.stop(GRACE_SECONDS)
        assert self.exit_code is not None
        return self.exit_code


class Installation:
    """Workers and edges by name; those that nobody attends to are started again when they end.

    ``worker`` and ``edge`` are the modules that are run: those of the product, or mutants of them. What ``environment``
    and the arguments do not say is left at the product's defaults.
    """

    def __init__(
        self,
        environment: dict[str, str],
        scratch: Path,
        *,
        worker: str = WORKER,
        edge: str = EDGE,
        workers: int = WORKERS,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        self.window_seconds = window_seconds
        self.armed = Path(tempfile.mkdtemp(dir=scratch))
        self.logs = Path(tempfile.mkdtemp(dir=scratch))
        self.system = System(
            environment, self.logs, WINDOW_SECONDS=window_seconds,
            # What is not well is not ready: no time of grace.
            ARMED_POINTS=self.armed, UNREADY_SECONDS=0,
        )  # fmt: skip
        self.members: dict[str, Member] = {}
        for number in range(workers):
            port = free_port()
            command = ["faust", "-A", worker, "worker", "-l", "info", f"--web-port={port}"]
            self._add(f"worker-{number}", command, port)
        for number in range(EDGES):
            port = free_port()
            self._add(f"edge-{number}", [edge], port, EDGE_PORT=port)
        self._attended: set[str] = set()
        self.restarts: list[str] = []
        """Who ended without anybody's doing, with which exit code."""

    def _add(self, name: str, command: list[str], port: int, **variables: object) -> None:
        environment = {**self.system.environment, **{key: str(value) for key, value in variables.items()}}
        self.members[name] = Member(name, command, environment, port=port, log=self.logs / f"{name}.log")

    @property
    def workers(self) -> list[Member]:
        """The workers."""
        return [member for name, member in self.members.items() if name.startswith("worker")]

    @property
    def edges(self) -> list[Member]:
        """The edges."""
        return [member for name, member in self.members.items() if name.startswith("edge")]

    def start(self) -> None:
        """Start everything, and do not wait until it is ready."""
        for member in self.members.values():
            member.start()

    def close(self) -> None:
        """End everything at once."""
        for member in self.members.values():
            member.close()

    @contextmanager
    def attending(self, *names: str) -> Iterator[list[Member]]:
        """Have these left alone by the supervisor meanwhile."""
        self._attended.update(names)
        try:
            yield [self.members[name] for name in names]
        finally:
            self._attended.difference_update(names)

    async def supervise(self) -> None:
        """Start again what ended by itself, for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for name, member in self.members.items():
                if name not in self._attended and not member.is_alive():
                    self.restarts.append(f"{name} ended with {member.exit_code}")
                    if len(self.restarts) > _MAX_RESTARTS:
                        raise RuntimeError(f"{self.restarts[-1]}, and that too often:\n{member.tail()}")
                    # A schedule may be clean all the same, and then nothing else is kept of it.
                    print(f"  {self.restarts[-1]}; its log ends with:\n{member.tail()}")
                    await asyncio.to_thread(member.start)

    def troubles(self) -> list[str]:
        """Say which processes are not ready, and why."""
        answers = {name: member.ask("/readyz") for name, member in self.members.items()}
        return [
            f"{name} is not ready: {' '.join(text.split()) or 'it does not answer'}"
            for name, (status, text) in answers.items()
            if status != 200
        ]
