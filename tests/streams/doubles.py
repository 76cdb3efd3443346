"""Doubles at the worker's two ports, held to the same contract as PostgreSQL and Kafka by ``integration/``."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from streams.contract import PostId
from streams.enrichment import Found
from streams.publisher import MAX_RECORD_BYTES, Keyed, TooLarge


class MemoryLookup:
    """Posts in memory. ``failures`` come first, one per call; a ``poisoned`` id fails each call that asks for it."""

    def __init__(self, found: Mapping[PostId, Found] | None = None, failures: Iterable[Exception] = ()) -> None:
        self.found = dict(found or {})
        self.failures = list(failures)
        self.poisoned: Mapping[PostId, Exception] = {}
        self.asked: list[list[PostId]] = []

    async def check(self) -> None:
        await self.posts([])

    async def posts(self, ids: Sequence[PostId]) -> dict[PostId, Found]:
        self.asked.append(list(ids))
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        for post, failure in self.poisoned.items():
            if post in ids:
                raise failure
        return {post: self.found[post] for post in ids if post in self.found}


class MemoryPublisher:
    """Records in memory, in the order of their confirmation: (topic, key, value)."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes | None, bytes]] = []

    async def publish(self, topic: str, records: Sequence[Keyed]) -> None:
        for key, value in records:
            if len(key or b"") + len(value) > MAX_RECORD_BYTES:
                raise TooLarge(f"{len(value)} bytes")
        await asyncio.sleep(0)
        self.records += [(topic, key, value) for key, value in records]

    def values(self, topic: str) -> list[bytes]:
        return [value for name, _, value in self.records if name == topic]
