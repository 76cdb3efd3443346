"""A hub in this process alone, whose clients see everything, or have filters: CPU time a window, memory of filters.

``mode`` is ``all``, ``index``, or ``asked``: filters that are not in the index, so that each client is asked about each
record. What is written goes over loopback in the form that browsers get, through a few connections for all clients:
what is measured are the fan-out and its writes.
"""

import asyncio
import gc
import random
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import count, cycle
from typing import Final

import psutil

from edge.fanout.deadlines import Patience
from edge.fanout.hub import Hub
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.selection import Selection, Selections
from edge.wire.websocket_encodings import CURSOR_DEFLATED
from integration.bench.beside import Link
from integration.bench.companion import reply
from integration.bench.posts import FIRST_ID, authored_record
from streams.contract import Offset

_AUTHORS: Final = 100_000
_POSTS: Final = 50
_APART_SECONDS: Final = 0.05
_SOCKETS: Final = 4


class _Bench:
    def __init__(self, loop: asyncio.AbstractEventLoop, mode: str, dice: random.Random) -> None:
        self._loop = loop
        self._dice = dice
        self._sockets = cycle([_drained() for _ in range(_SOCKETS)])
        self._keys = count()
        self._ids = count(FIRST_ID)
        self._offsets = count()
        self.writes = self.posts = 0
        self._log = Log(limit=64 * 1024 * 1024, reach=1_000)
        self._log.begin(Offset(0), Offset(0))
        forever = Patience(ping=1e9, dead=2e9, stalled=1e9, heartbeat=1e9)
        self.hub = Hub(self._log, write_bytes=1 << 16, write_each=self._write_each, patience=forever, loop=loop)
        if mode == "asked":
            # As if they were not there yet.
            self.hub.filters.is_indexed = lambda selection: False  # type: ignore[method-assign]  # noqa: ARG005

    def _write_each(self, keys: Sequence[int], data: bytes) -> list[tuple[int, bytes]]:
        self.writes += len(keys)
        for _, own in zip(keys, self._sockets, strict=False):
            own.sendall(data)
        return []

    def selections(self, clients: int, authors: int) -> list[Selection | None]:
        """Make filters of random authors."""
        known = Selections(clients * authors)
        everybody = range(_AUTHORS)
        return [known.the(Selection(self._dice.sample(everybody, authors))) for _ in range(clients)]

    async def join(self, selections: Sequence[Selection | None]) -> None:
        """Have clients come, and wait until the index is complete."""
        for each in selections:
            session = Session(self._log.head, CURSOR_DEFLATED, selection=each)
            self.hub.join(session, Link(next(self._keys), self._loop.time()))
        whole = sum(0 if each is None else len(each) for each in selections)
        while self.hub.filters.entries < whole:
            await asyncio.sleep(0)

    async def window(self) -> tuple[float, float]:
        """Have a window come; return the CPU time that it took, and that of the longest turn of the loop."""
        authors = [self._dice.randrange(_AUTHORS) for _ in range(_POSTS)]
        record = authored_record(zip([next(self._ids) for _ in authors], authors, strict=True))
        begun = last = time.thread_time()
        self._log.append(Offset(next(self._offsets)), record)
        self.hub.publish()
        longest = time.thread_time() - last
        while self.hub.lagging or self.hub.rest.is_matching:
            last = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - last)
        return time.thread_time() - begun, longest


def _drained() -> socket.socket:
    """Open a connection whose other end takes everything, in another process."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        own = socket.create_connection(server.getsockname())
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        other, _ = server.accept()
    with other:
        subprocess.Popen(["cat"], stdin=other.fileno(), stdout=subprocess.DEVNULL)
    return own


async def _run(mode: str, clients: int, authors: int, windows: int) -> None:
    dice = random.Random(1)  # noqa: S311 - authors are no secret
    bench = _Bench(asyncio.get_running_loop(), mode, dice)
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    selections = [None] * clients if mode == "all" else bench.selections(clients, authors)
    alone = process.memory_info().rss - before
    begun = time.thread_time()
    await bench.join(selections)
    joined = time.thread_time() - begun
    indexed = process.memory_info().rss - before
    measured = []
    for _ in range(windows):
        measured.append(await bench.window())
        await asyncio.sleep(_APART_SECONDS)
    reply(
        seconds=[each for each, _ in measured],
        longest=max(each for _, each in measured),
        writes=bench.writes / windows,
        posts=bench.hub.delivery.posts / windows,
        selections=alone,
        indexed=indexed,
        joined=joined,
    )


def main() -> None:
    """Measure, and reply."""
    mode, *numbers = sys.argv[1:]
    # As in the edge, where it hardly ever works.
    gc.disable()
    asyncio.run(_run(mode, *map(int, numbers)))


if __name__ == "__main__":
    main()
