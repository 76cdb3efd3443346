"""Doubles at the worker's ports, held to the contracts of PostgreSQL, Kafka and RabbitMQ by ``integration/``.

Each can fail, be held until a test lets it go on, and answer late (after several turns of the event loop).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from streams.announcement import judged
from streams.contract import Created, PostId, decode_created
from streams.deliveries import Acknowledgement
from streams.enrichment import Found
from streams.progress import Work
from streams.publisher import MAX_RECORD_BYTES, TooLarge, created_records, partition_of
from streams.subscription import Deliver, Depth, Lost, Subscription


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
        failures: Iterable[BaseException | None] = (),
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


class Time:
    """A clock that a test advances, and what sleeps by it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []
        """All pauses that were asked for."""
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        awake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, awake))
        await awake

    async def advance(self, seconds: float) -> None:
        """Let time pass, sleeper by sleeper, and what they do meanwhile happen."""
        end = self.now + seconds
        await turns()
        while due := [sleeper for sleeper in self._sleepers if sleeper[0] <= end + 1e-6 and not sleeper[1].done()]:
            at, awake = min(due, key=lambda sleeper: sleeper[0])
            self.now = at
            awake.set_result(None)
            await turns()
        self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[1].done()]
        self.now = end


async def turns(number: int = 100) -> None:
    """Let everything happen that needs no answer from outside."""
    for _ in range(number):
        await asyncio.sleep(0)


class MemoryRabbitMQ:
    """A queue in memory: what is not acknowledged when its subscription ends is delivered again.

    ``failures`` come first, one per attempt to subscribe. ``withheld``: nothing is delivered, as to a consumer that
    RabbitMQ has forgotten. ``others`` are consumers beside ours. ``swallows``: what is published counts as delivered
    and is not, until the consumer has a new channel. ``late`` is what RabbitMQ still delivers before it takes a cancel.
    """

    def __init__(self, prefetch: int = 500, failures: Iterable[BaseException] = ()) -> None:
        self.failures = deque(failures)
        self.withheld = self.swallows = False
        self.others = 0
        self.subscriptions = 0
        self.renewals = 0
        self.acknowledged: list[bytes] = []
        self.answers, self.acknowledgements = Gate(), Gate()
        self._prefetch = prefetch
        self._ready: deque[bytes] = deque()
        self._unacknowledged: dict[int, bytes] = {}
        self._tags = 0
        self.late: list[bytes] = []
        self._swallowed: list[bytes] = []
        self._deliver: Deliver | None = None
        self._subscription: MemorySubscription | None = None

    @property
    def ready(self) -> list[bytes]:
        """What waits to be delivered."""
        return list(self._ready)

    @property
    def unacknowledged(self) -> list[bytes]:
        """What was delivered and is not acknowledged."""
        return list(self._unacknowledged.values())

    def publish(self, *bodies: bytes) -> None:
        self._ready.extend(bodies)
        self.pump()

    def lose(self, why: str) -> None:
        """End the subscription, as a lost connection does."""
        assert self._subscription is not None
        if not self._subscription.ended.done():
            self._subscription.ended.set_result(Lost(why))
        self._requeue()

    def pump(self) -> None:
        """Deliver what may be delivered."""
        if self.swallows:
            self._swallowed += self._ready
            self._ready.clear()
        while self._deliver and self._ready and not self.withheld and len(self._unacknowledged) < self._prefetch:
            self._tags += 1
            self._unacknowledged[self._tags] = self._ready.popleft()
            self._deliver(self._tags, judged(self._unacknowledged[self._tags]))

    @asynccontextmanager
    async def subscribed(self, deliver: Deliver) -> AsyncIterator[Subscription]:
        await self.answers.passed()
        if self.failures:
            raise self.failures.popleft()
        self.subscriptions += 1
        self._tags = 0
        self._subscription = MemorySubscription(self, deliver)
        self._deliver = deliver
        self.pump()
        try:
            yield self._subscription
        finally:
            self._requeue()

    def cancel(self) -> None:
        late, self.late = self.late, []
        self.publish(*late)
        self._deliver = None

    def renew(self, deliver: Deliver) -> None:
        assert not self._unacknowledged, "what is open would be delivered again"
        self.renewals += 1
        self.swallows, self._tags = False, 0
        self._ready.extendleft(reversed(self._swallowed))
        self._swallowed.clear()
        self._deliver = deliver
        self.pump()

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        tag, multiple = acknowledgement
        if tag not in self._unacknowledged:
            self.lose(f"PRECONDITION_FAILED - unknown delivery tag {tag}")
            return
        for one in [one for one in self._unacknowledged if one == tag or (multiple and one < tag)]:
            self.acknowledged.append(self._unacknowledged.pop(one))
        self.pump()

    def _requeue(self) -> None:
        self._deliver = None
        self._ready.extendleft(reversed(self._unacknowledged.values()))
        self._unacknowledged.clear()


class MemorySubscription:
    """A consumer of :class:`MemoryRabbitMQ`."""

    def __init__(self, rabbitmq: MemoryRabbitMQ, deliver: Deliver) -> None:
        self.ended: asyncio.Future[Lost] = asyncio.get_running_loop().create_future()
        self._rabbitmq = rabbitmq
        self._deliver = deliver

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        await self._rabbitmq.acknowledgements.passed()
        self._raise_if_lost()
        self._rabbitmq.acknowledge(acknowledgement)

    async def depth(self) -> Depth:
        await self._rabbitmq.answers.passed()
        self._raise_if_lost()
        return Depth(len(self._rabbitmq.ready), self._rabbitmq.others + (not self._rabbitmq.withheld))

    async def renew(self) -> None:
        await self._rabbitmq.answers.passed()
        self._raise_if_lost()
        self._rabbitmq.renew(self._deliver)

    async def cancel(self) -> None:
        await self._rabbitmq.answers.passed()
        self._raise_if_lost()
        self._rabbitmq.cancel()

    def _raise_if_lost(self) -> None:
        if self.ended.done():
            raise self.ended.result()
