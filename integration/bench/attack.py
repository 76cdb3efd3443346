"""An attack: by how much it delays the posts of those who are connected and do no harm.

A window of one post is sent every 50 ms, and its delay is that from the record's way to Kafka to the last client's last
byte. Stretches without and with attackers take turns, and each is divided by the calm one before it: what else happens
on the machine happens to both. The attackers are one process, as fast as it can be with the lowest priority: in earnest
they would be other machines, and not take the edge's processor.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from statistics import median
from typing import Final

from aiokafka import AIOKafkaProducer

from integration.bench.companion import Companion, companion
from integration.bench.crowd import Crowd, crowd
from integration.bench.figures import Figure, ratio
from integration.bench.posts import FIRST_ID, FRAME_BYTES, feed_record
from integration.bench.stage import Stage
from integration.bench.usage import cpu_seconds, serving

PART: Final = "attack"
_PERIOD_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Size:
    """How much is measured; ``attacks`` are functions of ``integration.attackers`` with the connections of each."""

    clients: int = 500
    windows: int = 60
    repetitions: int = 3
    attacks: Mapping[str, int] = field(
        default_factory=lambda: {"dripping": 1_000, "joining": 20, "pinging": 20, "fragmenting": 20}
    )


class _Feed:
    """Windows of one post, one after the other."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, clients: Crowd) -> None:
        self._producer = producer
        self._topic = topic
        self._clients = clients
        self._ids = count(FIRST_ID)
        self._bytes = 0

    async def delays(self, windows: int) -> list[float]:
        """Send that many; return the delay of each in seconds."""
        delays = []
        for _ in range(windows):
            due = time.monotonic() + _PERIOD_SECONDS
            self._bytes += FRAME_BYTES
            self._clients.expect(self._bytes)
            begun = time.time()
            await self._producer.send_and_wait(self._topic, feed_record([next(self._ids)]), partition=0)
            delays.append(await self._clients.satisfied() - begun)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        return delays


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Let each attack take its turns."""
    figures: list[Figure] = []
    async with (
        stage.producer() as producer,
        stage.installation() as (system, edge),
        crowd(edge.port, size.clients) as clients,
        companion("integration.bench.attackers", edge.port) as attackers,
    ):
        feed = _Feed(producer, system.feed, clients)
        process = serving(edge.port)
        # The first ones are not counted: they may wait for a connection or fill a cache.
        await feed.delays(size.windows // 2)
        for attack, connections in size.attacks.items():
            stage.say(f"{PART}: {attack}, {connections:,} at a time, {size.clients:,} clients")
            calm: list[list[float]] = []
            under: list[list[float]] = []
            busy: list[float] = []
            got: Counter[str] = Counter()
            for _ in range(size.repetitions):
                calm.append(await feed.delays(size.windows))
                cpu, begun = cpu_seconds(process), time.monotonic()
                async with _attacking(attackers, attack, connections, got):
                    under.append(await feed.delays(size.windows))
                busy.append((cpu_seconds(process) - cpu) / (time.monotonic() - begun))
            note = ", ".join(f"{answer}: {number:,}" for answer, number in got.most_common())
            figures += [
                Figure(PART, f"{attack}: median delay without", "ms", [median(each) * 1000 for each in calm]),
                Figure(PART, f"{attack}: median under attack over without", "ratio",
                       ratio(list(map(median, under)), list(map(median, calm))), note=note),
                Figure(PART, f"{attack}: p95 under attack over without", "ratio",
                       ratio(list(map(_p95, under)), list(map(_p95, calm)))),
                Figure(PART, f"{attack}: edge's CPU under attack", "of a core", busy),
            ]  # fmt: skip
    return figures


@asynccontextmanager
async def _attacking(attackers: Companion, attack: str, connections: int, got: Counter[str]) -> AsyncIterator[None]:
    """Attack meanwhile; add what the attackers got."""
    await attackers.ask(begin=attack, connections=connections)
    yield
    got.update((await attackers.ask(begin=None, connections=0))["got"])


def _p95(delays: Sequence[float]) -> float:
    """Return the 0.95 quantile: what is above it on a busy machine is the machine's."""
    return sorted(delays)[(len(delays) * 95) // 100]
