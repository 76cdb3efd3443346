"""The services for a run, each behind a proxy that the product goes through and that can be broken.

Always our own services, whatever the environment names: they are killed.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

from integration import containers
from integration.faults import logs
from integration.faults.bearers import Issuer
from integration.faults.installation import PARTITIONS
from integration.faults.proxy import Proxy
from integration.ports import free_port
from integration.service import Service, ServiceError
from integration.services import Services
from integration.system import System

_GIVEN: Final = ("AMQP_URL", "DATABASE_URL", "KAFKA_URL")


class Stage:
    """RabbitMQ, Kafka and PostgreSQL, ready when the ``with`` block begins and gone when it ends."""

    rabbitmq: Service
    kafka: Service
    postgres: Service
    scratch: Path

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.issuer = Issuer()
        self._ports = {name: free_port() for name in ("rabbitmq", "kafka", "postgres")}

    def __enter__(self) -> Self:
        self.begin({})
        return self

    def begin(self, given: Mapping[str, str]) -> None:
        """Start the services, those aside whose URLs are ``given``."""
        environ = {key: value for key, value in os.environ.items() if key not in _GIVEN}
        self._services = Services(say=self._say, environ={**environ, **given}, kafka_port=self._ports["kafka"])
        self._services.__enter__()
        self.rabbitmq, self.kafka, self.postgres = self._services
        self.scratch = self._services.scratch

    def __exit__(self, *_: object) -> None:
        # What is frozen would not hear that it should end.
        for service in self:
            with suppress(*containers.ENGINE_ERRORS, ServiceError):
                service.resume()
        self._services.__exit__(None, None, None)

    def __iter__(self) -> Iterator[Service]:
        return iter((self.rabbitmq, self.kafka, self.postgres))

    def service(self, name: str) -> Service:
        """Return a service by its name in a schedule."""
        return {"rabbitmq": self.rabbitmq, "kafka": self.kafka, "postgres": self.postgres}[name]

    async def make_topics(self, system: System) -> None:
        """Make an installation's topics before its processes ask for them."""
        await logs.create(self.kafka.url, {system.created: PARTITIONS, system.feed: 1, system.dead: 1})

    def proxies(self) -> dict[str, Proxy]:
        """Make the proxies, not listening yet."""
        targets = {name: urlsplit(self.service(name).url) for name in self._ports}
        return {
            name: Proxy(port, (targets[name].hostname or "", targets[name].port or 0))
            for name, port in self._ports.items()
        }

    def of_edges(self, database: str) -> dict[str, str]:
        """Say whose tokens edges take, and where they store positions."""
        return {**self.issuer.environment, "POSITIONS_URL": database}

    @property
    def environment(self) -> dict[str, str]:
        """Where the product finds the services, behind the proxies, and what its clients may do."""
        return {
            "AMQP_URL": _through(self.rabbitmq.url, self._ports["rabbitmq"]),
            "DATABASE_URL": (database := _through(self.postgres.url, self._ports["postgres"])),
            "KAFKA_URL": _through(self.kafka.url, self._ports["kafka"]),
            **self.of_edges(database),
        }


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    credentials, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{port}"))
