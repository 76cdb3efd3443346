"""The backing services of a run or a test: one place decides how each is had, and says so.

For each of RabbitMQ, PostgreSQL and Kafka: what AMQP_URL, DATABASE_URL or KAFKA_URL names is used as it is; else a
Docker engine that answers gives a container; else a plain process is started. ``POSTCAST_SERVICES`` set to
``containers`` or ``processes`` allows only that way.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Self

from integration import containers, probes, processes
from integration.packages import MissingPackagesError
from integration.probes import Probe
from integration.service import GivenService, Service, ServiceError
from integration.waiting import Say, Waiting

WAY: Final = "POSTCAST_SERVICES"
SCRATCH: Final = "postcast-"
"""How the names of scratch folders begin."""


class _Kind(NamedTuple):
    name: str
    variable: str
    probe: Probe
    image_variable: str
    image: str
    container: Callable[[str], Service]
    process: Callable[[Path], Service]


_RABBITMQ: Final = _Kind(
    "RabbitMQ", "AMQP_URL", probes.amqp, "RABBITMQ_IMAGE",
    containers.RABBITMQ_IMAGE, containers.rabbitmq, processes.RabbitMQProcess,
)  # fmt: skip
_POSTGRES: Final = _Kind(
    "PostgreSQL", "DATABASE_URL", probes.postgres, "POSTGRES_IMAGE",
    containers.POSTGRES_IMAGE, containers.postgres, processes.PostgresProcess,
)  # fmt: skip
_KAFKA: Final = _Kind(
    "Kafka", "KAFKA_URL", probes.kafka, "KAFKA_IMAGE",
    containers.KAFKA_IMAGE, containers.kafka, processes.TansuProcess,
)  # fmt: skip


class Services:
    """RabbitMQ, PostgreSQL and Kafka, ready when the ``with`` block begins and gone when it ends.

    With ``wait=False`` they are only launched then, and :meth:`await_ready` is for whoever can use the time.
    ``scratch`` is the folder that holds their data and logs; it is removed at the end. ``kafka_port`` is where a Kafka
    that is started here sends its clients, when that is not its own port: a broker tells them where to find it.
    Entering raises :class:`~integration.service.ServiceError`, with nothing left behind.
    """

    rabbitmq: Service
    postgres: Service
    kafka: Service
    scratch: Path

    def __init__(
        self,
        *,
        say: Say = print,
        environ: Mapping[str, str] = os.environ,
        kafka_port: int | None = None,
        wait: bool = True,
    ) -> None:
        self._say = say
        self._wait = wait
        self._environ = environ
        self._kafka = _KAFKA._replace(
            container=partial(containers.kafka, advertised=kafka_port),
            process=partial(processes.TansuProcess, advertised=kafka_port),
        )
        self._left: ExitStack

    def __enter__(self) -> Self:
        with ExitStack() as begun:
            self.scratch = Path(tempfile.mkdtemp(prefix=SCRATCH))
            begun.callback(shutil.rmtree, self.scratch, ignore_errors=True)
            self.scratch.chmod(0o711)  # other accounts pass through to the folders that are theirs
            try:
                self.rabbitmq, self.kafka, self.postgres = (
                    self._choose(kind) for kind in (_RABBITMQ, self._kafka, _POSTGRES)
                )
                # All are launched, the slowest first, before any is waited for: they start side by side.
                for service in self:
                    begun.callback(service.close)
                    service.launch()
                if self._wait:
                    self.await_ready(*self)
            except MissingPackagesError as error:
                raise ServiceError(str(error)) from error
            self._left = begun.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.close()

    def __iter__(self) -> Iterator[Service]:
        return iter((self.rabbitmq, self.kafka, self.postgres))

    def await_ready(self, *services: Service) -> None:
        """Return when these answer, and say so of each; raises :class:`~integration.service.ServiceError`."""
        for service in services:
            with Waiting(f"waiting for {service.name}", self._say):
                service.wait_until_ready()
            self._say(f"{service.name} is ready at {service.address}")

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which Postcast finds these services."""
        return {
            _RABBITMQ.variable: self.rabbitmq.url,
            _POSTGRES.variable: self.postgres.url,
            _KAFKA.variable: self.kafka.url,
        }

    def rabbitmqctl(self, *arguments: str) -> str:
        """Run ``rabbitmqctl`` against RabbitMQ, wherever it runs, and return what it printed."""
        return self.rabbitmq.run("rabbitmqctl", *arguments)

    def _choose(self, kind: _Kind) -> Service:
        """Decide how one service is had, and say so in one line."""
        if url := self._environ.get(kind.variable):
            service: Service = GivenService(kind.name, url, kind.probe, variable=kind.variable)
            self._say(f"{kind.name}: {service.address}, {service.how}")
            return service
        image = self._environ.get(kind.image_variable) or kind.image
        if obstacle := self._why_no_container(image):
            service = kind.process(self.scratch)
            self._say(f"{kind.name}: {service.how}, since {obstacle}")
        else:
            containers.use_reaper_if_there()
            service = kind.container(image)
            self._say(f"{kind.name}: {service.how}, since a Docker engine answers")
        return service

    def _why_no_container(self, image: str) -> str | None:
        way = self._environ.get(WAY) or None
        if way not in {None, "containers", "processes"}:
            raise ServiceError(f"{WAY} must be containers, processes or unset, and is {way!r}")
        if way == "processes":
            return f"{WAY} asks for processes"
        obstacle = containers.why_no_engine() or containers.why_no_image(image, self._say)
        if obstacle and way == "containers":
            raise ServiceError(f"{WAY} asks for containers, but {obstacle}")
        return obstacle
