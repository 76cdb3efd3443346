"""``make run``: all of Postcast on this machine, with posts arriving by themselves.

Finds or starts the backing services, starts the worker, the edge and the demo Posts service, and keeps all of
them going until Ctrl-C. Then nothing is left behind: no process, no container, no file.
"""

import asyncio
import contextlib
import http.client
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Protocol

import asyncpg
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from integration import composer, posts_service
from integration.child import STOP_SECONDS, Child
from integration.demo import Demo, block
from integration.ports import free_port, is_free
from integration.service import ServiceError
from integration.services import Services
from integration.waiting import Waiting

RESTARTS: Final = 3
"""How often a part that ended by itself is started again. More would hide what is wrong with it."""

_ROOT: Final = Path(__file__).parent.parent
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_SECONDS: Final = 0.5
"""How often to look whether all parts still run: soon for a person, and no load."""
_READY_SECONDS: Final = 90.0
"""How long the worker and the edge may take until they are ready, and then the first post until it is shown."""
_ANSWER_SECONDS: Final = 2.0
"""How long one answer on loopback may take."""


class RunError(Exception):
    """What ends the run: a sentence for people, with the end of a log where that helps."""


class Startable(Protocol):
    """What can be started again: a :class:`Child` or a backing service."""

    def start(self) -> None: ...
    def is_alive(self) -> bool: ...
    def tail(self) -> str: ...


@dataclass
class Part:
    """Something that must keep running, and how often it had to be started again."""

    name: str
    runs: Startable
    restarts: int = 0

    def keep(self) -> None:
        """Start it again where it ended; raises :class:`RunError` when that was done often enough."""
        if self.runs.is_alive():
            return
        if self.restarts == RESTARTS:
            raise RunError(f"{self.name} ended {RESTARTS + 1} times; {self.last_words()}")
        self.restarts += 1
        self.runs.start()
        _say(f"{self.name} ended by itself and was started again ({self.restarts} of {RESTARTS})")

    def last_words(self) -> str:
        """Return the end of its log, to go into a sentence."""
        return f"its log ends with:\n{self.runs.tail()}"


def main() -> int:
    """Run until a signal ends it (exit code 0) or something cannot go on (1)."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        _run(os.environ)
    except KeyboardInterrupt:
        _say("stopped: nothing was left behind")
        return 0
    except (RunError, ServiceError) as error:
        print(f"run: {error}", file=sys.stderr, flush=True)
        return 1


def _interrupt(_number: int, _frame: object) -> NoReturn:
    """Leave through all ``finally`` clauses, which a second signal must not disturb."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    _say("stopping")
    raise KeyboardInterrupt


def _run(environ: Mapping[str, str]) -> NoReturn:
    port, admin_port = _edge_ports(environ)
    with Services(say=_say, environ=environ, wait=False) as services:
        # It is soon ready, and with its tables in it the rest can start: that waits for the brokers by itself.
        services.await_ready(services.postgres)
        shows_posts = asyncio.run(_prepare_tables(services.postgres.url))
        worker_port = free_port()
        environment = {
            **environ,
            **services.environment,
            "EDGE_PORT": str(port),
            # An edge reads .env, too, which this program does not: the environment wins.
            "ADMIN_PORT": str(admin_port or 0),
            "PYTHONPATH": str(_ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        commands = {
            "worker": ["faust", "-q", "-A", "streams.app", "worker", "-l", "info", f"--web-port={worker_port}"],
            "edge": ["edge"],
        }
        if shows_posts:
            commands |= {"demo": ["integration.posts_service"], "composer": ["integration.composer"]}
            environment |= composer.variables(free_port(), environ)
        else:
            _say(
                "demo: not started, since the tables in the database are somebody's own: their service makes the posts"
            )
        children = {
            name: Child([sys.executable, "-m", *command], log=services.scratch / f"{name}.log", environment=environment)
            for name, command in commands.items()
        }
        parts = [Part(service.name, service) for service in services]
        parts += [Part(f"the {name}", child) for name, child in children.items()]
        with _started(children):
            _say(f"starting the {', the '.join(children)}")
            _await_brokers(services, [part for part in parts if part.name.startswith("the ")])
            _await_ready(parts, {"worker": worker_port, "edge": admin_port or port})
            if shows_posts:
                _await_post(parts, port)
            demo = Demo(
                pid=os.getpid(),
                edge_port=port,
                health_port=admin_port or port,
                worker_port=worker_port,
                amqp_url=services.rabbitmq.url,
                database_url=services.postgres.url,
                queue=environ.get("QUEUE_NAME") or posts_service.QUEUE_NAME,
                shows_posts=shows_posts,
            )
            demo.write(services.scratch)
            _say("\n".join([f"ready: http://127.0.0.1:{port}/", *block(demo, services)]))
            while True:
                _look_after(parts)


def _edge_ports(environ: Mapping[str, str]) -> tuple[int, int | None]:
    """Return the ports that the edge is to listen on, for clients and, if it has one, for operators."""
    host, admin = environ.get("EDGE_HOST") or "0.0.0.0", environ.get("ADMIN_PORT") or "0"
    port = _free_port_of("EDGE_PORT", environ.get("EDGE_PORT") or "8080", host, example=8081)
    if admin == "0":
        return port, None
    admin_port = _free_port_of("ADMIN_PORT", admin, environ.get("ADMIN_HOST") or host, example=9091)
    if admin_port == port:
        raise RunError(f"ADMIN_PORT must be another port than EDGE_PORT, and both are {port}")
    return port, admin_port


def _free_port_of(name: str, port: str, host: str, *, example: int) -> int:
    """Read a port that must be free."""
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= 65_535):
        raise RunError(f"{name} must be a port from 1 to 65535, and is {port!r}")
    if not is_free(host, int(port)):
        raise RunError(f"port {port} is taken by another program; choose another: make run {name}={example}")
    return int(port)


async def _prepare_tables(database_url: str) -> bool:
    """Make the demo's tables; say whether posts may be inserted."""
    connection = await asyncpg.connect(database_url)
    try:
        may_write = await posts_service.prepare(connection)
    except asyncpg.PostgresError as error:
        raise RunError(f"the demo's tables could not be made: {error}") from error
    finally:
        await connection.close()
    return may_write


@contextlib.contextmanager
def _started(children: Mapping[str, Child]) -> Iterator[None]:
    try:
        for child in children.values():
            child.start()
        yield
    finally:
        # All are asked first: they take their time side by side.
        for child in children.values():
            child.ask_to_end()
        deadline = time.monotonic() + STOP_SECONDS
        for child in children.values():
            child.await_end(max(0, deadline - time.monotonic()))


def _await_brokers(services: Services, children: Sequence[Part]) -> None:
    """Return when both brokers answer; look after those that wait for them meanwhile, which may end by themselves."""
    errors: list[ServiceError] = []

    def wait() -> None:
        try:
            services.await_ready(services.kafka, services.rabbitmq)
        except ServiceError as error:
            errors.append(error)

    # It ends with the brokers, which are ended whatever happens here.
    waiting = threading.Thread(target=wait, name="brokers", daemon=True)
    waiting.start()
    while waiting.is_alive():
        _look_after(children)
    if errors:
        raise errors[0]


def _await_ready(parts: Sequence[Part], ports: Mapping[str, int]) -> None:
    """Return when each answers 200 on /readyz; until then pass on, now and then, what they say is missing."""
    deadline = time.monotonic() + _READY_SECONDS
    for name, port in ports.items():
        with Waiting(f"waiting for the {name}", _say) as waiting:
            while (missing := _what_is_missing(port)) is not None:
                if missing:
                    waiting.text = f"waiting for the {name} ({missing})"
                if time.monotonic() > deadline:
                    part = next(part for part in parts if part.name == f"the {name}")
                    raise RunError(f"the {name} was not ready within {_READY_SECONDS:.0f} s; {part.last_words()}")
                _look_after(parts)
        _say(f"{name}: ready")


def _what_is_missing(port: int) -> str | None:
    """Return what /readyz says is missing, in one line, empty while nothing answers; None when it is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = "; ".join(answer.read().decode("utf-8", "replace").splitlines())
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
    return None if answer.status == http.client.OK else body


def _await_post(parts: Sequence[Part], port: int) -> None:
    """Return when a client of the edge was shown a post."""
    _say("waiting for the first post: the posts of 5 seconds are shown together (WINDOW_SECONDS)")
    deadline = time.monotonic() + _READY_SECONDS
    with Waiting("waiting for the first post", _say):
        while time.monotonic() < deadline:
            # The welcome comes first; history, so that no post is missed between two connections.
            with (
                contextlib.suppress(OSError, WebSocketException),
                connect(f"ws://127.0.0.1:{port}/?history=1") as client,
            ):
                client.recv(timeout=_ANSWER_SECONDS)
                client.recv(timeout=_ANSWER_SECONDS)
                return
            _look_after(parts)
    raise RunError(f"no post was shown within {_READY_SECONDS:.0f} s; " + "\n".join(p.last_words() for p in parts))


def _look_after(parts: Sequence[Part]) -> None:
    """Look once, after a moment, whether all parts still run."""
    time.sleep(_LOOK_SECONDS)
    for part in parts:
        part.keep()


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
