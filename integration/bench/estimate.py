"""What many clients take, computed from what few of them took: plain formulae over the constants of a measured run.

All is linear: each edge has its clients and its copy of the feed, and no edge knows another. A window is what closes
each ``WINDOW_SECONDS``. Nothing here is measured; what a network and TLS add to the constants is not in them.
"""

import math
from dataclasses import dataclass
from typing import Final

_MICRO: Final = 1e-6
_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_BITS: Final = 8
WINDOW_SECONDS: Final = 5.0
"""The default."""
LOG_BYTES: Final = 64 * _MIB
"""The default; each edge keeps so much of the feed at most."""


@dataclass(frozen=True)
class Window:
    """What a window of ``posts`` takes, as it was measured."""

    posts: int
    write_us: float
    """CPU time of an edge for each client, in microseconds."""
    bytes: float
    """Bytes for each client, not compressed."""
    deflated_bytes: float
    """Bytes for each client that agreed to compression."""
    record_bytes: float
    """Bytes of the record on the feed's topic, not compressed."""


@dataclass(frozen=True)
class Constants:
    """What was measured, and when: on one core for one edge."""

    at: str
    edge_mib: float
    """Resident memory of an edge without clients."""
    connection_kib: float
    """Resident memory for each idle connection."""
    kernel_kib: float
    """The kernel's memory for the server's end of each connection."""
    rest_us: float
    """CPU time for each connection that rests for a second, pings included, in microseconds."""
    return_us: float
    """CPU time for each client that comes back with a cursor and catches up, in microseconds."""
    returns_a_second: float
    """How many such clients an edge serves in a second."""
    small: Window
    large: Window


@dataclass(frozen=True)
class Limits:
    """What an edge should not exceed; each may be what breaks first."""

    last_byte_seconds: float = 0.2
    """From a record to the last client's last byte."""
    storm_seconds: float = 10.0
    """Until all of an edge's clients are served when they come back at once."""
    core_share: float = 0.5
    """Of one core, on the average: the rest is for storms and garbage."""
    files: int = 20_000
    """Open files for each process."""
    memory_mib: float = 2048.0
    """For an edge and its connections' buffers in the kernel."""
    network_gbit: float = 10.0
    """Bits a second that an edge's share of the network takes."""


def edges(clients: int, each: int) -> int:
    """Return how many edges there must be for so many clients, with so many on each."""
    return math.ceil(clients / each)


def edge_bytes(constants: Constants, each: int) -> float:
    """Return the resident memory of one edge with its clients, its log full."""
    return constants.edge_mib * _MIB + LOG_BYTES + each * constants.connection_kib * _KIB


def kernel_bytes(constants: Constants, each: int) -> float:
    """Return what the kernel holds for the server's ends of one edge's connections, nothing being unsent."""
    return each * constants.kernel_kib * _KIB


def resting_cores(constants: Constants, clients: int) -> float:
    """Return how many cores are busy while nothing is sent."""
    return clients * constants.rest_us * _MICRO


def window_cores(window: Window, clients: int) -> float:
    """Return how many cores are busy on the average with a window each :data:`WINDOW_SECONDS`."""
    return clients * window.write_us * _MICRO / WINDOW_SECONDS


def last_byte_seconds(window: Window, each: int) -> float:
    """Return when the last of one edge's clients has its bytes, on a core of the edge's own; Kafka's part is small."""
    return each * window.write_us * _MICRO


def client_bits(window: Window, clients: int, *, is_deflated: bool) -> float:
    """Return the bits a second to all clients, on the average."""
    return clients * (window.deflated_bytes if is_deflated else window.bytes) * _BITS / WINDOW_SECONDS


def kafka_bits(window: Window, edges: int) -> float:
    """Return the bits a second that Kafka sends to all edges, on the average."""
    return edges * window.record_bytes * _BITS / WINDOW_SECONDS


def storm_seconds(constants: Constants, each: int) -> float:
    """Return how long it takes until all clients are served that come back to one edge at once."""
    return each / constants.returns_a_second


def storm_cpu_seconds(constants: Constants, clients: int) -> float:
    """Return the CPU time of all edges for a storm of everybody."""
    return clients * constants.return_us * _MICRO


def most_clients(constants: Constants, limits: Limits) -> dict[str, int]:
    """Return for each limit how many clients one edge can have before it is exceeded, the least first."""
    large = constants.large
    busy = (constants.rest_us + large.write_us / WINDOW_SECONDS) * _MICRO
    free = limits.memory_mib * _MIB - edge_bytes(constants, 0)
    burst = limits.network_gbit * 1e9 / _BITS * limits.last_byte_seconds
    found = {
        f"the last byte within {limits.last_byte_seconds:g} s, by CPU time": limits.last_byte_seconds
        / (large.write_us * _MICRO),
        f"the last byte within {limits.last_byte_seconds:g} s, by {limits.network_gbit:g} Gbit/s": burst / large.bytes,
        f"the last byte within {limits.last_byte_seconds:g} s, by {limits.network_gbit:g} Gbit/s, compressed": burst
        / large.deflated_bytes,
        f"all are back within {limits.storm_seconds:g} s": limits.storm_seconds * constants.returns_a_second,
        f"{limits.core_share:.0%} of a core": limits.core_share / busy,
        f"{limits.files:,} open files": float(limits.files),
        f"{limits.memory_mib / _KIB:g} GiB of memory": free
        / ((constants.connection_kib + constants.kernel_kib) * _KIB),
    }
    return {name: math.floor(found[name]) for name in sorted(found, key=lambda name: found[name])}
