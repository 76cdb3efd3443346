"""Three Kafka brokers as containers, each of which can be killed, frozen, or cut off from the others alone.

A broker has two networks. Clients come through a port of the host to the engine's own network; brokers and controllers
talk on a network of theirs, which has no way out. A broker that is taken off that network still answers its clients.
"""

import ipaddress
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, Self

from docker.types import IPAMConfig, IPAMPool  # type: ignore[import-untyped]  # docker ships no types
from testcontainers.core.exceptions import ContainerStartException
from testcontainers.core.network import Network

from integration import probes
from integration.containers import ENGINE_ERRORS, ContainerService, creator, kafka_environment
from integration.ports import free_port

BROKERS: Final = 3
_CLIENTS, _CONTROLLERS, _PEERS = 9092, 9093, 9094
_FIRST_ADDRESS: Final = 10
"""Of broker 0 in the network's subnet: above the gateway's."""


class Broker(ContainerService):
    """One broker, which is a controller too. ``number`` is its node id."""

    def __init__(self, number: int, image: str, network: "PeerNetwork", settings: dict[str, str]) -> None:
        port = free_port()
        self.number = number
        self._network = network
        self._is_attached = False
        super().__init__(
            f"broker {number}",
            f"kafka://{{host}}:{port}",
            probes.kafka,
            image=image,
            port=(port, _CLIENTS),
            environment={
                **kafka_environment(),
                "KAFKA_NODE_ID": str(number),
                "KAFKA_LISTENERS": f"CLIENTS://:{_CLIENTS},PEERS://:{_PEERS},CONTROLLER://:{_CONTROLLERS}",
                "KAFKA_ADVERTISED_LISTENERS": f"CLIENTS://{{host}}:{port},PEERS://{network.address(number)}:{_PEERS}",
                "KAFKA_INTER_BROKER_LISTENER_NAME": "PEERS",
                "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": ("CONTROLLER:PLAINTEXT,CLIENTS:PLAINTEXT,PEERS:PLAINTEXT"),
                "KAFKA_CONTROLLER_QUORUM_VOTERS": ",".join(
                    f"{peer}@{network.address(peer)}:{_CONTROLLERS}" for peer in range(1, BROKERS + 1)
                ),
                "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": str(BROKERS),
                # Three of these heaps beside all else; compiled once, since most of a broker's CPU time is its start.
                "KAFKA_HEAP_OPTS": "-Xms192m -Xmx192m -XX:TieredStopAtLevel=1",
                **settings,
            },
        )

    def launch(self) -> None:
        """Start the container; the first time it joins the brokers' network."""
        super().launch()
        if not self._is_attached:
            self.rejoin()

    def cut_off(self) -> None:
        """Take it off the brokers' network: clients reach it, the others do not."""
        self._network.detach(self._container.get_wrapped_container().id)
        self._is_attached = False

    def rejoin(self) -> None:
        """Put it back, under the same address."""
        self._network.attach(self._container.get_wrapped_container().id, self.number)
        self._is_attached = True


class PeerNetwork:
    """The network of the brokers: each has the same address in it, however often it leaves and comes back."""

    def __init__(self) -> None:
        self._subnet: ipaddress.IPv4Network | None = None
        self._network: Network | None = None

    def create(self) -> None:
        """Create it."""
        creator.submit(self._create).result()

    def _create(self) -> None:
        # Fixed addresses need a subnet that was asked for. Which one is free the engine knows best: it gives one away.
        with Network() as probe:
            engines_own = _engines_own(probe)
            engines_own.reload()
            [config] = engines_own.attrs["IPAM"]["Config"]
        self._subnet = ipaddress.IPv4Network(config["Subnet"])
        pool = IPAMConfig(pool_configs=[IPAMPool(subnet=str(self._subnet))])
        # Without a way out it is never where a container's published port leads.
        self._network = Network(docker_network_kw={"internal": True, "ipam": pool}).create()

    def address(self, number: int) -> str:
        """Return a broker's address."""
        assert self._subnet is not None
        return str(self._subnet[_FIRST_ADDRESS + number])

    def attach(self, container: str, number: int) -> None:
        """Connect a container."""
        _engines_own(self._network).connect(container, ipv4_address=self.address(number))

    def detach(self, container: str) -> None:
        """Disconnect a container; its open connections hear nothing of it."""
        _engines_own(self._network).disconnect(container, force=True)

    def remove(self) -> None:
        """Remove it, when nobody is connected any more; harmless when it was never created."""
        creator.submit(self._remove).result()

    def _remove(self) -> None:
        if self._network is not None:
            self._network.remove()


def _engines_own(network: Network | None) -> Any:
    assert network is not None
    return network._unwrap_network  # noqa: SLF001 - testcontainers has no word for an address, nor for leaving


class Cluster:
    """The brokers by their numbers, from 1 on; ready when the ``with`` block begins and gone when it ends.

    ``session_ms`` is how long a broker may be silent before the others declare it dead (Kafka's own default is 9 s).
    """

    def __init__(self, image: str, session_ms: int) -> None:
        self._image = image
        self.session_ms = session_ms
        self.how = f"{BROKERS} containers of {image}, broker.session.timeout.ms={session_ms}"
        self._brokers: dict[int, Broker] = {}
        self._network = PeerNetwork()

    def __enter__(self) -> Self:
        settings = {
            "KAFKA_BROKER_SESSION_TIMEOUT_MS": str(self.session_ms),
            # As many within a session as by default.
            "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": str(self.session_ms * 2 // 9),
        }
        try:
            self._network.create()
            for number in range(1, BROKERS + 1):
                self._brokers[number] = Broker(number, self._image, self._network, settings)
                self._brokers[number].launch()
            for broker in self:
                broker.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with ThreadPoolExecutor(max_workers=BROKERS) as threads:
                list(threads.map(_remove, self))
        finally:
            self._network.remove()

    def __iter__(self) -> Iterator[Broker]:
        return iter(self._brokers.values())

    def __getitem__(self, number: int) -> Broker:
        return self._brokers[number]

    @property
    def url(self) -> str:
        """All brokers, as KAFKA_URL names them."""
        return ";".join(broker.url for broker in self)

    def url_without(self, *numbers: int) -> str:
        """Return the URL of those brokers that are well while these are not."""
        return ";".join(broker.url for broker in self if broker.number not in numbers)


def _remove(broker: Broker) -> None:
    with suppress(*ENGINE_ERRORS, ContainerStartException):  # it is seldom frozen, and may never have started
        broker.resume()
    broker.close()
