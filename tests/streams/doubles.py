"""Doubles at the worker's two ports, held to the same contract as PostgreSQL and Kafka by ``integration/``.

Each can fail, be held until a test lets it go on, and answer late (after several turns of the event loop).
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from streams.contract import Created, PostId, decode_created
from streams.enrichment import Found
from streams.progress import Work
from streams.publisher import MAX_RECORD_BYTES, TooLarge, created_records, partition_of


class Gate:
    """Where calls wait while it is shut. ``waiting`` counts them; each call is ``turns`` turns of the loop late."""

    def __init__(self, turns: int = 1) -> None:
        self.turns = turns
        self.waiting = 0
        self._open = asyncio.Event()
        self._open.set()

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    @property
    def is_shut(self) -> bool:
        return not self._open.is_set()

    async def passed(self) -> None:
        self.waiting += 1
        try:
            for _ in range(self.turns):
                await asyncio.sleep(0)
            await self._open.wait()
        finally:
            self.waiting -= 1


class MemoryLookup:
    """Posts in memory.

    ``failures`` come first, one per call (None: this call is answered); a ``poisoned`` id fails each call that asks
    for it; ``check_failures`` are those of :meth:`check`. ``asked`` are the ids of all calls, ``gate`` holds them.
    """

    def __init__(
        self,
        found: Mapping[PostId, Found] | None = None,
        failures: Iterable[Exception | None] = (),
        check_failures: Iterable[Exception] = (),
    ) -> None:
        self.found = dict(found or {})
        self.failures = deque(failures)
        self.check_failures = deque(check_failures)
        self.poisoned: Mapping[PostId, Exception] = {}
        self.asked: list[list[PostId]] = []
        self.gate = Gate()

    async def check(self) -> None:
        await self.gate.passed()
        if self.check_failures:
            raise self.check_failures.popleft()

    async def posts(self, ids: Sequence[PostId]) -> dict[PostId, Found]:
        self.asked.append(list(ids))
        await self.gate.passed()
        if self.failures and (failure := self.failures.popleft()) is not None:
            raise failure
        for post, failure in self.poisoned.items():
            if post in ids:
                raise failure
        return {post: self.found[post] for post in ids if post in self.found}


class Written(NamedTuple):
    """A confirmed record."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes


class MemoryPublisher:
    """Records in memory, in the order of their confirmation.

    ``failures`` come first, one per call (None: this call succeeds). ``gates`` hold the writes to a topic, and what is
    held says that it waits for Kafka. The feed takes records of at most ``limit`` bytes.
    """

    def __init__(
        self,
        *,
        created_topic: str = "posts.created",
        feed_topic: str = "posts.feed",
        partitions: int = 8,
        limit: int = MAX_RECORD_BYTES,
        failures: Iterable[Exception | None] = (),
    ) -> None:
        self.records: list[Written] = []
        self.gates: dict[str, Gate] = {}
        self.failures = deque(failures)
        self.limit = limit
        self.partitions = partitions
        self._created_topic = created_topic
        self._feed_topic = feed_topic

    def gate(self, topic: str) -> Gate:
        """Return the gate of a topic."""
        return self.gates.setdefault(topic, Gate())

    async def publish(self, topic: str, values: Sequence[bytes], work: Work) -> None:
        for value in values:
            if topic == self._feed_topic and len(value) > self.limit:
                raise TooLarge(f"a record of {len(value)} bytes is more than Kafka takes")
            await self._confirm([Written(topic, 0, None, value)], work)
        if not values:
            await asyncio.sleep(0)

    async def announce(self, ids: Sequence[PostId], attempt: int, work: Work) -> None:
        groups: dict[int, list[PostId]] = {}
        for post in ids:
            groups.setdefault(partition_of(post, range(self.partitions)), []).append(post)
        records = [
            Written(self._created_topic, partition, *record)
            for partition, group in groups.items()
            for record in created_records(group, attempt)
        ]
        await self._confirm(records, work)

    async def _confirm(self, records: list[Written], work: Work) -> None:
        if self.failures and (failure := self.failures.popleft()) is not None:
            raise failure
        for topic in dict.fromkeys(record.topic for record in records):
            gate = self.gate(topic)
            if gate.is_shut:
                work.waits("kafka", f"Kafka has not confirmed what was written to {topic}")
            await gate.passed()
        self.records += records
        work.progressed()

    def values(self, topic: str) -> list[bytes]:
        """Return the values of a topic, in the order of their confirmation."""
        return [record.value for record in self.records if record.topic == topic]

    @property
    def created(self) -> list[Created]:
        """The records of posts.created."""
        return [decode_created(value) for value in self.values(self._created_topic)]
