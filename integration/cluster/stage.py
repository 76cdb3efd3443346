"""A cluster of brokers beside RabbitMQ and PostgreSQL, with no proxy in between."""

from collections.abc import Callable
from typing import Final, Self

from integration.cluster.brokers import BROKERS, Cluster
from integration.faults import logs
from integration.faults.installation import PARTITIONS
from integration.faults.proxy import Proxy
from integration.faults.stage import Stage
from integration.system import System

_REPLICATION: Final = BROKERS


class ClusterStage(Stage):
    """The services of a run, ready when the ``with`` block begins and gone when it ends.

    ``single_copies`` asks for partitions of posts.created that one broker keeps alone, in turn; else the product makes
    its topics itself, with a copy on every broker.
    """

    def __init__(self, say: Callable[[str], None], cluster: Cluster) -> None:
        super().__init__(say)
        self.cluster = cluster
        self.single_copies = False

    def __enter__(self) -> Self:
        self.cluster.__enter__()
        try:
            self._say(f"Kafka: {self.cluster.how}")
            self.begin({"KAFKA_URL": self.cluster.url})
        except BaseException:
            self.cluster.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            super().__exit__()
        finally:
            self.cluster.__exit__()

    async def make_topics(self, system: System) -> None:
        """Make posts.created where its partitions are to have one copy each, and nothing else."""
        if self.single_copies:
            places = {partition: [1 + partition % BROKERS] for partition in range(PARTITIONS)}
            await logs.create_at(self.kafka.url, system.created, places)

    def proxies(self) -> dict[str, Proxy]:
        """None: what breaks is a broker."""
        return {}

    @property
    def environment(self) -> dict[str, str]:
        """Where the product finds the services, what its clients may do, and how many copies it asks for."""
        return {
            **self._services.environment,
            **self.of_edges(self.postgres.url),
            "KAFKA_REPLICATION": str(_REPLICATION),
        }
