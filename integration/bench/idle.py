"""Memory: what an idle connection costs the edge, and what it costs a plain aiohttp server."""

from dataclasses import dataclass
from typing import Final

import psutil

from integration import topics
from integration.bench.companion import companion
from integration.bench.crowd import crowd
from integration.bench.figures import Figure, Goal
from integration.bench.stage import Stage
from integration.bench.usage import resident_bytes, serving

PART: Final = "idle"
_KIB: Final = 1024
_WARMING: Final = 100
"""Connections that come and go before the counting: imports, caches and first arenas are no connection's cost."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    clients: int = 5_000
    repetitions: int = 3


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Connect that many to servers that have just been started."""
    edges: list[float] = []
    plain: list[float] = []
    for number in range(1, size.repetitions + 1):
        stage.say(f"{PART}: {size.clients:,} connections, {number} of {size.repetitions}")
        async with stage.installation() as (system, edge):
            edges.append(await _kib_a_connection(serving(edge.port), edge.port, size.clients))
            topic = f"{system.name}.send-each"
        await topics.create(stage.kafka_url, {topic: 1})
        async with companion(
            "integration.bench.send_each", topic, environment={"KAFKA_URL": stage.kafka_url}
        ) as server:
            port = (await server.answer())["port"]
            plain.append(await _kib_a_connection(psutil.Process(server.pid), port, size.clients))
    return [
        Figure(PART, f"resident, {size.clients:,} connections: edge", "KiB each", edges, Goal("at most", 16)),
        Figure(PART, f"resident, {size.clients:,} connections: plain aiohttp", "KiB each", plain),
    ]


async def _kib_a_connection(process: psutil.Process, port: int, clients: int) -> float:
    async with crowd(port, min(_WARMING, clients)):
        pass
    before = resident_bytes(process)
    async with crowd(port, clients):
        return (resident_bytes(process) - before) / clients / _KIB
