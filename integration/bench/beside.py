"""What clients that come back cost the live feed by CPU time: the hub and its log alone, in one process.

``python -m integration.bench.beside RATE SECONDS`` fills a log, has 100 clients at its head, and ``RATE`` clients a
second that come back to random places of it, compressed, and take whatever they are sent; seconds are CPU seconds of
this process, so that a busy machine makes them no longer. A record arrives ten times a second and goes through as many
turns of the loop as one goes through between Kafka's socket and the hub. It replies with the ``delays`` from a record's
arrival to the last write at the head, the ``longest`` turn, and how many bytes were ``sent``.
"""

import asyncio
import gc
import os
import random
import sys
import time
from collections.abc import Sequence
from itertools import count
from typing import Final

from edge.fanout.deadlines import Patience
from edge.fanout.ending import End
from edge.fanout.hub import Hub
from edge.fanout.link import Client
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.wire.messages import welcome
from edge.wire.websocket_encodings import CURSOR_DEFLATED, PLAIN
from integration.bench.companion import reply
from integration.bench.posts import FIRST_ID, feed_record
from streams.contract import Offset

_POSTS: Final = 50
_RECORDS: Final = 3_000
_HEAD: Final = 100
_STEPS: Final = 5
"""The socket, the stream's reader, the response, the fetcher, the source."""
_APART_SECONDS: Final = 0.1


class Link:
    """A client that takes everything."""

    def __init__(self, key: int, now: float) -> None:
        self.key = key
        self.heard = now
        self.unsent_since: float | None = None
        self.close_by: float | None = None

    def attach(self, client: Client) -> None:
        """Tell it nothing."""

    def write(self, _: bytes) -> bool:
        """Have taken it."""
        return True

    def ping(self) -> None:
        """Send nothing."""

    def close(self, end: End) -> None:
        """Go on: it is sent nothing more."""

    abort = close


class _Bench:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._nowhere = os.open(os.devnull, os.O_WRONLY)
        self._keys = count()
        self._ids = count(FIRST_ID)
        self._offsets = count()
        self.sent = 0
        self._log = Log(limit=64 * 1024 * 1024, reach=1_000)
        self._log.begin(Offset(0), Offset(0))
        for _ in range(_RECORDS):
            self._append()
        forever = Patience(ping=1e9, dead=2e9, stalled=1e9)
        self._hub = Hub(self._log, write_bytes=1 << 16, write_each=self._write_each, patience=forever, loop=loop)
        for _ in range(_HEAD):
            self._join(Session(self._log.head, PLAIN))

    def _append(self) -> None:
        record = feed_record([next(self._ids) for _ in range(_POSTS)])
        self._log.append(Offset(next(self._offsets)), record)

    def _write_each(self, keys: Sequence[int], data: bytes) -> list[tuple[int, bytes]]:
        for _ in keys:
            self.sent += os.write(self._nowhere, data)
        return []

    def _join(self, session: Session) -> None:
        self._hub.join(session, Link(next(self._keys), self._loop.time()))

    def come_back(self, dice: random.Random) -> None:
        position = self._log.back(self._log.head, dice.randint(1, _RECORDS * _POSTS))
        self._join(
            Session(
                position, CURSOR_DEFLATED, greeting=CURSOR_DEFLATED.notice(welcome("c" * 32, session="s", heartbeat=25))
            )
        )

    async def arrive(self) -> None:
        for _ in range(_STEPS):
            await asyncio.sleep(0)
        self._append()
        self._hub.publish()

    async def run(self, rate: float, seconds: float) -> tuple[list[float], float]:
        """Return the delays, and the longest turn."""
        clock, dice = time.thread_time, random.Random(1)  # noqa: S311 - places are no secret
        last = begin = clock()
        arrives_at, comes_at = begin + _APART_SECONDS, begin if rate else float("inf")
        delays: list[float] = []
        longest = 0.0
        while last < begin + seconds:
            await asyncio.sleep(0)
            now = clock()
            longest = max(longest, now - last)
            if now >= comes_at:
                self.come_back(dice)
                comes_at += 1 / rate
            if now >= arrives_at:
                await self.arrive()
                delays.append(clock() - arrives_at)
                arrives_at += _APART_SECONDS * dice.uniform(1, 1.2)
            last = clock()
        return delays, longest


def main() -> None:
    """Measure, and reply."""
    rate, seconds = map(float, sys.argv[1:])
    # As in the edge, where it hardly ever works.
    gc.disable()
    with asyncio.Runner() as runner:
        bench = _Bench(runner.get_loop())
        delays, longest = runner.run(bench.run(rate, seconds))
    reply(delays=delays, longest=longest, sent=bench.sent)


if __name__ == "__main__":
    main()
