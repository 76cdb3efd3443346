"""What a process uses, as the kernel counts it."""

import asyncio
import time
from pathlib import Path

import psutil

from integration.system import Process


def serving(port: int) -> psutil.Process:
    """Return the child of ours that listens on a port."""
    for child in psutil.Process().children(recursive=True):
        for connection in child.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                return child
    raise psutil.NoSuchProcess(0, msg=f"no child listens on port {port}")


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of all its threads so far, user and system.

    From the clock that Linux keeps for each process, to the nanosecond: the id of another process's clock is made as
    clock_getcpuclockid(3) makes it. The counters in /proc go in steps of 10 ms.
    """
    return time.clock_gettime((~process.pid << 3) | 2)


def resident_bytes(process: psutil.Process) -> int:
    """Return its resident memory."""
    return int(process.memory_info().rss)


def unsent_bytes(port: int) -> int:
    """Return what the kernel holds for the clients of a server on loopback: sent to nobody yet, or not acknowledged.

    From /proc/net/tcp (proc(5)): ``local_address`` ends in the port and ``tx_queue`` is before the colon, both hex.
    """
    lines = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
    sockets = [line.split() for line in lines]
    return sum(int(queues.partition(":")[0], 16) for _, at, _, _, queues, *_ in sockets if at.endswith(f":{port:04X}"))


async def loop_blocked(edge: Process) -> float | None:
    """Return the longest time that an edge's loop was kept busy in one go; None when it does not say."""
    return await asyncio.to_thread(edge.metric, "edge_loop_blocked_seconds_max") or None
