"""The whole path: posts a second from the queue to a client through one worker.

All posts are in the database and all ids in the queue before the worker begins. The clock runs from the moment at
which the worker has subscribed to the queue to the client's last byte, so the window's own length (1 s here) and its
closing count as if they were work. Beside it a bare loop that only consumes and acknowledges the same ids.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from integration.bench.companion import companion
from integration.bench.crowd import crowd
from integration.bench.figures import Figure, Goal, ratio
from integration.bench.posts import FRAME_BYTES, inserted
from integration.bench.stage import Stage
from integration.bench.usage import cpu_seconds, serving
from integration.system import Process

PART: Final = "path"
_PREFETCH: Final = 500
"""The worker's default, for both sides."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    posts: int = 100_000
    repetitions: int = 7


@dataclass(frozen=True)
class _Run:
    posts_per_second: float
    cpu_per_thousand: float


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Let the loop and the worker take the same ids in turn."""
    bare: list[_Run] = []
    whole: list[_Run] = []
    async with inserted(stage.database_url, size.posts) as ids:
        for number in range(1, size.repetitions + 1):
            stage.say(f"{PART}: {size.posts:,} posts, {number} of {size.repetitions}")
            # Each goes first as often as the other: what a machine does after a while is shared evenly.
            for of_bare in (number % 2 == 1, number % 2 == 0):
                if of_bare:
                    bare.append(await _bare(stage, ids))
                else:
                    whole.append(await _whole(stage, ids))
    rate, least = ([run.posts_per_second for run in runs] for runs in (whole, bare))
    cpu, least_cpu = ([run.cpu_per_thousand for run in runs] for runs in (whole, bare))
    return [
        Figure(PART, "queue to client, one worker", "posts/s", rate),
        Figure(PART, "bare loop that consumes and acknowledges", "posts/s", least),
        Figure(PART, "one worker over the bare loop", "ratio", ratio(rate, least), Goal("at least", 0.75)),
        Figure(PART, "the worker's CPU", "CPU-s/1,000 posts", cpu),
        Figure(PART, "the bare loop's CPU", "CPU-s/1,000 posts", least_cpu),
        Figure(PART, "the worker's CPU over the bare loop's", "ratio", ratio(cpu, least_cpu), Goal("at most", 1.25)),
    ]


async def _bare(stage: Stage, ids: Sequence[int]) -> _Run:
    queue = f"{PART}-bare"
    environment = {"AMQP_URL": stage.services.rabbitmq.url, "QUEUE_NAME": queue}
    async with stage.announcing(queue) as announce:
        await announce(ids)
    async with companion("integration.bench.bare_consumer", len(ids), _PREFETCH, environment=environment) as loop:
        used = await loop.answer()
    return _Run(len(ids) / used["seconds"], used["cpu"] / len(ids) * 1000)


async def _whole(stage: Stage, ids: Sequence[int]) -> _Run:
    async with stage.installation(WINDOW_SECONDS=1, PREFETCH=_PREFETCH) as (system, edge):
        async with stage.announcing(system.queue) as announce:
            await announce(ids)
        async with crowd(edge.port, 1) as client:
            client.expect(len(ids) * FRAME_BYTES)
            worker = system.worker()
            await asyncio.to_thread(worker.until, lambda: bool(_subscribed(worker)), "consumes")
            process = serving(worker.port)
            cpu = cpu_seconds(process)
            [started] = _subscribed(worker)
            last = await client.satisfied()
            return _Run(len(ids) / (last - started), (cpu_seconds(process) - cpu) / len(ids) * 1000)


def _subscribed(worker: Process) -> list[float]:
    """Return when the worker began to consume, by the wall clock; nothing while it has not."""
    return [datetime.fromisoformat(event["timestamp"]).timestamp() for event in worker.events("bridge.consuming")]
