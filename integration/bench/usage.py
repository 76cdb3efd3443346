"""What a process uses, as the kernel counts it."""

import asyncio
import resource
import time
from pathlib import Path
from typing import Final, NamedTuple

import psutil
from prometheus_client.parser import text_string_to_metric_families

from integration.system import Process

_SHORT: Final = "0.02"


def serving(port: int) -> psutil.Process:
    """Return the child of ours that listens on a port."""
    if children := listening(port):
        return children[0]
    raise psutil.NoSuchProcess(0, msg=f"no child listens on port {port}")


def listening(port: int) -> list[psutil.Process]:
    """Return all children of ours that listen on a port."""
    return [child for child in psutil.Process().children(recursive=True) if _listens(child, port)]


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        connections = process.net_connections("tcp")
    except psutil.NoSuchProcess:
        # It ended since its parent was asked for its children.
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in connections)


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of all its threads so far, user and system.

    From the clock that Linux keeps for each process, to the nanosecond: the id of another process's clock is made as
    clock_getcpuclockid(3) makes it. The counters in /proc go in steps of 10 ms.
    """
    return time.clock_gettime((~process.pid << 3) | 2)


def resident_bytes(process: psutil.Process) -> int:
    """Return its resident memory."""
    return int(process.memory_info().rss)


def kernel_bytes() -> int:
    """Return what the kernel itself holds: its objects, sockets among them, and what sockets have buffered.

    From /proc/meminfo, in KiB, and /proc/net/sockstat, in pages (proc(5)).
    """
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text("ascii").splitlines())
    sockets = Path("/proc/net/sockstat").read_text("ascii").partition("\nTCP:")[2].splitlines()[0].split()
    pages = int(sockets[sockets.index("mem") + 1])
    return int(fields["Slab"].split()[0]) * 1024 + pages * resource.getpagesize()


def unsent_bytes(port: int) -> int:
    """Return what the kernel holds for the clients of a server on loopback: sent to nobody yet, or not acknowledged.

    From /proc/net/tcp (proc(5)): ``local_address`` ends in the port and ``tx_queue`` is before the colon, both hex.
    """
    lines = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
    sockets = [line.split() for line in lines]
    return sum(int(queues.partition(":")[0], 16) for _, at, _, _, queues, *_ in sockets if at.endswith(f":{port:04X}"))


class Turns(NamedTuple):
    """How many turns an edge's loop had, and how many lasted at most 20 ms: by the clock, by their CPU time."""

    all: float
    short: float
    cheap: float


def are_cheap(before: Turns, after: Turns) -> bool:
    """Tell whether all turns in between took at most 20 ms of CPU time, but for one in 10,000.

    A virtual machine charges a thread with what it keeps it waiting for, now and then. What is done for thousands of
    clients in one turn of some hundreds is no such thing.
    """
    turns = after.all - before.all
    return turns - (after.cheap - before.cheap) <= turns / 10_000


async def turns_of(edge: Process) -> Turns:
    """Read an edge's own measure of its loop's turns, since it started."""

    def look() -> Turns:
        # Of one answer: the loop goes on between two.
        _, text = edge.ask("/metrics")
        samples = {
            (sample.name, sample.labels.get("le")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        return Turns(
            samples["postcast_edge_turn_seconds_count", None],
            samples["postcast_edge_turn_seconds_bucket", _SHORT],
            samples["postcast_edge_turn_cpu_seconds_bucket", _SHORT],
        )

    return await asyncio.to_thread(look)
