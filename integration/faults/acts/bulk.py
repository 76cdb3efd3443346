"""Much at once: a backlog beside live posts, and poison."""

import asyncio
import time
from typing import Final

from aiokafka.partitioner import DefaultPartitioner

from integration.faults import logs
from integration.faults.liveness import STATEMENTS_SECONDS, charge_late_posts
from integration.faults.scene import PATIENCE_SECONDS, Scene, Unprovable
from integration.faults.schedule import Fault

_partition: Final = DefaultPartitioner()
_BACKLOG: Final = 20_000
_BACKLOG_MS: Final = 12 * 3_600_000
"""The last half day's: each of its records has a window of its own, which would be a statement by itself."""
_READ_SECONDS: Final = 12.0
"""What reading so many records may cost on a machine with much else to do; 2 s on two cores that are free."""
_POISON: Final = 200
_POISON_BYTES: Final = 1024 * 1024
_GROWTH: Final = 0.5
"""How much of the poison's size the workers may grow by: they keep 64 KiB of each body, a sixteenth."""
_SETTLE_SECONDS: Final = 4.0
"""For RabbitMQ to deliver what the workers have room for."""


async def backlog(scene: Scene, _: Fault) -> str:
    """Put a backlog into one partition of posts.created while live posts flow."""
    async with scene.announcer.paused():
        await scene.until_settled()
    old = await scene.insert(_BACKLOG, "an old post")
    backlogged = set(old)
    partitions = await logs.partitions(scene.stage.kafka.url, scene.installation.system.created)

    def is_apart(post: int) -> bool:
        # What comes on the backlog's own partition stands behind it.
        return post not in backlogged and _partition(b"%d" % post, partitions, partitions) != 0

    system, begun, now_ms = scene.installation.system, time.monotonic(), round(time.time() * 1000)
    records = [
        (b'{"id":%d}' % post, now_ms - _BACKLOG_MS + number * _BACKLOG_MS // _BACKLOG)
        for number, post in enumerate(old)
    ]
    await logs.place(scene.stage.kafka.url, system.created, 0, records)
    scene.announcer.note(old)
    try:
        await scene.until(lambda: scene.is_shown(old), "the backlog is shown")
    except Unprovable as late:
        scene.charges.append(str(late))
    took, allowed = time.monotonic() - begun, STATEMENTS_SECONDS + _READ_SECONDS
    live = await charge_late_posts(scene, begun, allowed=allowed, what="a backlog", counts=is_apart)
    return f"a backlog of {_BACKLOG} posts was written, and shown or given up after {took:.1f} s; {live}"


async def poison(scene: Scene, fault: Fault) -> str:
    """Publish large bodies that are no ids while Kafka takes nothing, so that they pile up in the workers."""
    proxy, workers = scene.proxies["kafka"], scene.installation.workers
    async with scene.announcer.paused():
        await scene.until_settled()
    for worker in workers:
        await scene.until_ready(worker.name)
    before = sum(worker.resident_bytes() for worker in workers)
    proxy.stall()
    try:
        await scene.announcer.poison(_POISON, _POISON_BYTES)
        await asyncio.sleep(_SETTLE_SECONDS + fault.lasts_ms / 1000)
        grown = sum(worker.resident_bytes() for worker in workers) - before
    finally:
        proxy.heal()
    if grown > _GROWTH * _POISON * _POISON_BYTES:
        scene.charges.append(f"{_POISON} bodies of 1 MiB made the workers grow by {grown >> 20} MiB")
    begun = time.monotonic()
    due = {(one.fate, one.post) for one in scene.announcer.announced if one.fate == "not_an_id"}
    while not due <= await logs.dead_since(scene.stage.kafka.url, scene.installation.system.dead, 0):
        if time.monotonic() > begun + PATIENCE_SECONDS:
            raise Unprovable("the poison is not on posts.dead")
        await asyncio.sleep(1)
    return f"{_POISON} bodies of 1 MiB made the workers grow by {grown >> 20} MiB"
