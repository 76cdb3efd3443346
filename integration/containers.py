"""The backing services as containers.

All three are generic containers on host ports chosen beforehand: a port that Docker chooses changes when a
container is stopped and started again, and a Kafka broker must advertise its port before it has one.
``python -m integration.containers`` says whether an engine answers, by its exit code.

The images are current releases; another one (RABBITMQ_IMAGE, POSTGRES_IMAGE, KAFKA_IMAGE) must take the
same environment variables.
"""

import contextlib
import socket
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, cast
from urllib.parse import urlsplit

import docker.errors  # type: ignore[import-untyped]  # docker ships no types
import requests
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient, get_docker_host

from integration import probes
from integration.ports import free_port
from integration.probes import Probe
from integration.processes import PASSWORD, USER
from integration.pull import Pull
from integration.service import Service, ServiceError
from integration.waiting import Say, Waiting

RABBITMQ_IMAGE: Final = "rabbitmq:4.2.1"
POSTGRES_IMAGE: Final = "postgres:18.1"
KAFKA_IMAGE: Final = "apache/kafka:4.1.2"

TRANSIENT_QUEUES: Final = "-rabbit permit_deprecated_features #{transient_nonexcl_queues=>true}"
"""From 4.3 on RabbitMQ refuses a queue that is neither durable nor exclusive unless permitted, and that is the replaced
system's queue. An older release does not know the setting: among these arguments it ignores it, while in rabbitmq.conf
it would refuse to start."""

_ENGINE_SECONDS: Final = 60
"""How long the engine may be silent in one answer, between two steps of a pull too: a registry that cannot be
reached is noticed by then, and a slow one is still making progress."""
_FREEZE_SECONDS: Final = 10
_STOP_SECONDS: Final = 8
_TAIL_LINES: Final = 12

ENGINE_ERRORS: Final = (docker.errors.DockerException, requests.exceptions.RequestException)


creator: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="containers")
"""Creates and removes all that the engine keeps for us. A Ctrl-C interrupts the wait for this thread, not the thread:
when a container comes to be removed, one whose creation was under way is created, and known."""


def why_no_engine() -> str | None:
    """Say why no Docker engine can be used, or None when one answers."""
    url = urlsplit(get_docker_host() or "unix:///var/run/docker.sock")
    try:
        if url.scheme == "unix":
            # Asked first, since the client does not close a socket that it could not connect.
            with socket.socket(socket.AF_UNIX) as engine:
                engine.connect(url.path)
        with contextlib.closing(DockerClient(timeout=_ENGINE_SECONDS).client) as client:
            client.ping()
    except (OSError, *ENGINE_ERRORS):
        return "no Docker engine answers"
    return None


def why_no_image(image: str, say: Say = print) -> str | None:
    """Pull the image if the engine lacks it; say why it cannot be had, or None when it is there."""
    with contextlib.closing(DockerClient(timeout=_ENGINE_SECONDS).client) as client:
        try:
            client.images.get(image)
        except docker.errors.ImageNotFound:
            pull, reason = Pull(image), ""
            try:
                with Waiting(pull.text, say) as waiting:
                    for step in client.api.pull(*_name_and_tag(image), stream=True, decode=True):
                        reason = reason or step.get("error", "")
                        waiting.text = pull.read(step)
            except docker.errors.APIError as error:
                reason = error.explanation
            except ENGINE_ERRORS as error:
                reason = str(error)
            if reason:
                return f"the image {image} is not here and cannot be pulled: {reason}"
    return None


def _name_and_tag(image: str) -> tuple[str, str]:
    name, colon, tag = image.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (image, "latest")


class ContainerService(Service):
    """A service that is one container; its data lives as long as the container, which is until :meth:`close`."""

    def __init__(
        self,
        name: str,
        url: str,
        probe: Probe,
        *,
        image: str,
        port: tuple[int, int],
        environment: Mapping[str, str],
        tls_ports: tuple[int, int] | None = None,
    ) -> None:
        """``port``, ``tls_ports``: the host's and the container's. ``{host}`` in the texts: the engine's host."""
        # The thread is there before a container is. Were it made for the first one, a Ctrl-C while it begins would have
        # it forgotten, and the removal would get a thread of its own, and not wait for the creation.
        creator.submit(bool).result()
        self._container = DockerContainer(image)
        host = self._container.get_docker_client().host().replace("localhost", "127.0.0.1")
        # Demo credentials are for this machine alone, unless the engine is another machine.
        published = {
            f"{inside}/tcp": ("127.0.0.1", outside) if host == "127.0.0.1" else outside
            for outside, inside in filter(None, (port, tls_ports))
        }
        self._container.ports = cast("dict[str, int | None]", published)
        self._container.with_envs(**{key: value.replace("{host}", host) for key, value in environment.items()})
        super().__init__(name, url.replace("{host}", host), probe, how=f"container of {image}", durable=True)
        self.tls_ports = tls_ports
        self._created = False

    def launch(self) -> None:
        """Create the container at the first start, start the same one afterwards."""
        try:
            if self._created:
                self._container.get_wrapped_container().start()
            else:
                self._created = True
                creator.submit(self._container.start).result()
        except ENGINE_ERRORS as error:
            raise ServiceError(
                f"{self.name}: the container of {self._container.image} did not start: {error}"
            ) from error

    def is_alive(self) -> bool:
        """Tell whether the container runs."""
        container = self._container.get_wrapped_container()
        try:
            container.reload()
        except ENGINE_ERRORS:
            return False
        return container.status in {"created", "running", "paused", "restarting"}

    def stop(self) -> None:
        """Stop the container in good order."""
        self._container.get_wrapped_container().stop(timeout=_STOP_SECONDS)

    def kill(self) -> None:
        """Kill the container."""
        container = self._container.get_wrapped_container()
        container.kill()
        container.wait(timeout=_STOP_SECONDS)

    def pause(self) -> None:
        """Freeze the container."""
        deadline = time.monotonic() + _FREEZE_SECONDS
        while True:
            try:
                self._container.get_wrapped_container().pause()
            except docker.errors.APIError:
                # A kernel that is busy may not freeze every process of a group at the first attempt.
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def resume(self) -> None:
        """Let the container go on."""
        self._container.get_wrapped_container().unpause()

    def close(self) -> None:
        """Remove the container and its volumes."""
        creator.submit(self._container.stop).result()

    def run(self, *command: str) -> str:
        """Run a program in the container."""
        result = self._container.exec(list(command))
        output = result.output.decode("utf-8", "replace")
        if result.exit_code:
            raise ServiceError(f"{command[0]} failed: {output.strip()}")
        return output

    def tail(self) -> str:
        """Return the last lines of its log."""
        if not self._created:
            return ""
        logs: bytes = self._container.get_wrapped_container().logs(tail=_TAIL_LINES)
        return logs.decode("utf-8", "replace").rstrip()


def rabbitmq(image: str) -> ContainerService:
    """RabbitMQ."""
    port = free_port()
    return ContainerService(
        "RabbitMQ",
        f"amqp://{USER}:{PASSWORD}@{{host}}:{port}/",
        probes.amqp,
        image=image,
        port=(port, 5672),
        tls_ports=(free_port(), 5671),
        environment={
            "RABBITMQ_DEFAULT_USER": USER,
            "RABBITMQ_DEFAULT_PASS": PASSWORD,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": TRANSIENT_QUEUES,
        },
    )


def postgres(image: str) -> ContainerService:
    """PostgreSQL."""
    port = free_port()
    return ContainerService(
        "PostgreSQL",
        f"postgres://{USER}:{PASSWORD}@{{host}}:{port}/postgres?sslmode=disable",
        probes.postgres,
        image=image,
        port=(port, 5432),
        environment={"POSTGRES_USER": USER, "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": "postgres"},
    )


def kafka_environment() -> dict[str, str]:
    """Return the settings of a node that is broker and controller; all but the addresses that it advertises."""
    return {
        # The image's own defaults hold only while none of these is set: all of them, then.
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        # One is enough for a few groups, and is read back in no time after a kill; the default is 50.
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        # Killed and started again, the broker waits for its own former session to end: 9 s by default.
        "KAFKA_BROKER_SESSION_TIMEOUT_MS": "3000",
        "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "500",
        "KAFKA_LOG_DIRS": "/tmp/kafka-logs",  # noqa: S108 - inside the container, where nobody else is
        "KAFKA_HEAP_OPTS": "-Xms256m -Xmx256m",  # a few topics; the default of 1 GiB is for servers
        # Of 128 MiB by default, for which such a heap has no room when many topics are loaded at a start.
        "KAFKA_LOG_CLEANER_DEDUPE_BUFFER_SIZE": "8388608",
    }


def kafka(image: str, advertised: int | None = None) -> ContainerService:
    """Apache Kafka: one node that is broker and controller.

    It sends its clients to its own port, or to that of loopback which is ``advertised`` and passes everything on to it.
    """
    port = free_port()
    address = f"{{host}}:{port}" if advertised is None else f"127.0.0.1:{advertised}"
    return ContainerService(
        "Kafka",
        f"kafka://{{host}}:{port}",
        probes.kafka,
        image=image,
        port=(port, 9092),
        environment={
            **kafka_environment(),
            # To itself, which a transaction's marker goes to, it has a listener that the container knows.
            "KAFKA_LISTENERS": "PLAINTEXT://:9092,SELF://:9094,CONTROLLER://:9093",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{address},SELF://localhost:9094",
            "KAFKA_INTER_BROKER_LISTENER_NAME": "SELF",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SELF:PLAINTEXT",
        },
    )


def use_reaper_if_there() -> None:
    """Let testcontainers' reaper remove the containers when we are killed, where its image can be had."""
    if not testcontainers_config.ryuk_disabled and why_no_image(testcontainers_config.ryuk_image):
        testcontainers_config.ryuk_disabled = True


if __name__ == "__main__":
    sys.exit(why_no_engine())
