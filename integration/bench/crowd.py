"""Clients in processes of their own, as one: who waits for their bytes, and how busy they were."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from integration.bench.clients import DEFLATED, GREETED, PATH, SPARSE
from integration.bench.companion import Companion, companion

_CLIENTS_A_PROCESS: Final = 16_000
"""A process may open 20,000 files on many machines. As few as possible: two that share a core would each look idle."""
_CONNECT_SECONDS: Final = 600.0
"""How long connecting may take: 100,000 clients take a minute on two cores."""


class Crowd:
    """Made by :func:`crowd`."""

    def __init__(self, processes: Sequence[Companion], clients: int) -> None:
        self.clients = clients
        self.pids = [process.pid for process in processes]
        self._processes = processes
        self._cpu = self._seconds = 0.0

    async def until(self, total: int) -> float:
        """Wait until each client has got so many bytes in all; return the wall clock at the last one's last byte."""
        self.expect(total)
        return await self.satisfied()

    def expect(self, total: int) -> None:
        """Have the clients wait for so many bytes in all from now on."""
        for each in self._processes:
            each.tell(until=total)

    async def all(self, total: int) -> None:
        """Have those read, too, that do not otherwise; each must have got so many bytes in all."""
        for each in self._processes:
            each.tell(all=total)
        await self.satisfied()

    async def begun(self) -> None:
        """Wait until each has got something."""
        for each in self._processes:
            each.tell(begun=True)
        await self.satisfied()

    async def idle(self, seconds: float) -> int:
        """Have all answer pings for that long; return how many there were."""
        for each in self._processes:
            each.tell(idle=seconds)
        answers = await asyncio.gather(*(each.answer() for each in self._processes))
        return sum(answer["pings"] for answer in answers)

    async def satisfied(self) -> float:
        """Wait until each has got what was expected; return the wall clock at the last one's last byte."""
        answers = await asyncio.gather(*(each.answer() for each in self._processes))
        self._cpu += max(answer["cpu"] for answer in answers)
        self._seconds += max(answer["seconds"] for answer in answers)
        return float(max(answer["last"] for answer in answers))

    def take_saturation(self) -> float:
        """Return which share of the time while bytes came the busiest process was computing, since it was last asked.

        Near 1 it would be the clients that are measured.
        """
        cpu, seconds = self._cpu, self._seconds
        self._cpu = self._seconds = 0.0
        return cpu / seconds if seconds else 0.0


@asynccontextmanager
async def crowd(
    port: int | Sequence[int],
    clients: int,
    *,
    a_process: int = _CLIENTS_A_PROCESS,
    deflated: bool = False,
    sparse: bool = False,
    greeted: bool = False,
    path: str = "/",
) -> AsyncIterator[Crowd]:
    """Have that many clients connected to a server on loopback, or dealt among several by their ports.

    ``deflated``: with compression agreed; ``sparse``: only a few of them read, but for :meth:`Crowd.all`; ``greeted``:
    the first frame is a greeting, and is not counted; ``path``: what they ask for.
    """
    ports = [port] if isinstance(port, int) else port
    wanted = ((DEFLATED, deflated), (SPARSE, sparse), (GREETED, greeted))
    options = [*(name for name, is_wanted in wanted if is_wanted), f"{PATH}{path}"]
    async with AsyncExitStack() as started:
        processes = []
        for each, share in zip(ports, _dealt(clients, len(ports)), strict=True):
            for first in range(0, share, a_process):
                fresh = companion("integration.bench.clients", each, min(a_process, share - first), *options)
                processes.append(await started.enter_async_context(fresh))
        for process in processes:
            await process.answer(_CONNECT_SECONDS)
        yield Crowd(processes, clients)


def _dealt(clients: int, servers: int) -> list[int]:
    """Deal clients among servers, as evenly as they come."""
    return [clients // servers + (number < clients % servers) for number in range(servers)]
