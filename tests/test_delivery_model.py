"""Laws 1, 2 and 6 as a machine: the real bridge, flow and completion between brokers in memory, and what clients see.

RabbitMQ, Kafka and PostgreSQL are lists; each may be slow, refuse, or be away for a while. At any moment, and at each
checkpoint, the worker may be killed; it may lose its partitions, or have its clock set. Whatever happens, every post is
shown, once, or is a dead letter if it was not in the database.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any, cast

from aiokafka.errors import KafkaConnectionError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from prometheus_client import CollectorRegistry

from edge.feed.repeats import Repeats
from streams.agent import Flow
from streams.bridge import Bridge
from streams.completion import Completion
from streams.contract import (
    Created,
    Offset,
    Partition,
    PostId,
    decode_created,
    decode_dead,
    decode_feed,
    encode_created,
)
from streams.enrichment import Found
from streams.group import Group
from streams.letters import LetterLog
from streams.lookup import TimedOut, Unavailable
from streams.progress import Progress, Work
from streams.settings import Settings
from streams.telemetry import Metrics
from tests.streams.doubles import MemoryLookup, MemoryPublisher, MemoryRabbitMQ, Written
from tests.streams.memory_group import MemoryGroup, MemoryStream
from tests.streams.virtual import VirtualLoop

PARTITIONS = 2
SETTINGS = Settings.model_validate(
    {
        "amqp_url": "amqp://broker",
        "database_url": "postgres://database/db",
        "kafka_url": "kafka://broker",
        "window_seconds": 1,
        "max_batch": 4,
        "max_held": 12,
        "prefetch": 20,
        "created_partitions": PARTITIONS,
    }
)


class Kafka(MemoryPublisher):
    """Writes posts.created to the logs of a group. A write may stand there before it is confirmed."""

    def __init__(self, group: MemoryGroup, world: "Delivery") -> None:
        super().__init__(partitions=PARTITIONS)
        self._group = group
        self._world = world

    async def _confirm(self, records: list[Written], work: Work) -> None:
        await asyncio.sleep(0)
        if self.failures and (failure := self.failures.popleft()) is not None:
            raise failure
        self.records += records
        for record in records:
            if record.topic == SETTINGS.created_topic:
                self._group.write(Partition(record.partition), self._world.wall(), record.value)
        for topic in {record.topic for record in records}:
            gate = self.gate(topic)
            if gate.is_shut:
                work.waits("kafka", "Kafka has not confirmed what was written")
            await gate.passed()
        work.progressed()


class SlowLookup(MemoryLookup):
    """A lookup that takes its time."""

    async def posts(self, ids: Sequence[PostId]) -> dict[PostId, Found]:
        await asyncio.sleep(0.2)
        return await super().posts(ids)


class Delivery(RuleBasedStateMachine):
    """One worker after the other, one queue, two partitions, one feed."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.set_by = 0.0
        self.group = MemoryGroup(PARTITIONS)
        self.kafka = Kafka(self.group, self)
        self.rabbitmq = MemoryRabbitMQ(prefetch=SETTINGS.prefetch)
        self.lookup = SlowLookup()
        self.posts = 0
        self.ever_missing: set[int] = set()
        self.defects = 0
        self.kill_at: str | None = None
        self.killed = False
        self.run(self.begin())

    def wall(self) -> float:
        return 1_000_000_000 + self.loop.time() + self.set_by

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the loop; when the worker is killed meanwhile, the next one begins."""
        with contextlib.suppress(asyncio.CancelledError):
            self.loop.run_until_complete(work)
        if self.killed:
            self.kill()

    # -- the worker ------------------------------------------------------------------------------

    async def begin(self) -> None:
        progress = Progress(self.loop.time)
        metrics = Metrics(CollectorRegistry(), progress)
        letters = LetterLog(self.loop.time, lambda *_: None)
        completion = Completion(
            SETTINGS,
            lookup=self.lookup,
            publisher=self.kafka,
            look_up=progress.stage("look up"),
            publish=progress.stage("publish"),
            metrics=metrics,
            letters=letters,
            checkpoint=self.checkpoint,
        )
        self.flow = Flow(
            cast(Group, self.group),
            SETTINGS,
            completion=completion,
            read=progress.stage("read"),
            commit=progress.stage("commit"),
            metrics=metrics,
            checkpoint=self.checkpoint,
            wall=self.wall,
            steady=self.loop.time,
        )
        self.bridge = Bridge(
            SETTINGS,
            self.rabbitmq,
            self.kafka,
            stage=progress.stage("bridge"),
            metrics=metrics,
            letters=letters,
            checkpoint=self.checkpoint,
        )
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.group.generation += 1
        self.group.pause([])
        await self.flow.start()
        self.consuming = asyncio.create_task(self.flow.consume(cast(Any, MemoryStream(self.events))))
        self.fetching = asyncio.create_task(self.fetch_for_ever())
        await self.flow.on_assigned()
        await self.bridge.start()

    async def fetch_for_ever(self) -> None:
        while True:
            for partition in self.group.partitions:
                for event in self.group.fetch(partition, count=5):
                    self.events.put_nowait(event)
            await asyncio.sleep(0.1)

    def checkpoint(self, name: str) -> None:
        if name == self.kill_at:
            # Nothing of the worker goes on from here.
            self.kill_at, self.killed = None, True
            for task in asyncio.all_tasks():
                task.cancel()

    @rule()
    def kill(self) -> None:
        self.kill_at, self.killed = None, False
        self.end()
        self.loop.run_until_complete(self.begin())

    def end(self) -> None:
        while tasks := asyncio.all_tasks(self.loop):
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    @rule(name=st.sampled_from(["bridge.confirmed", "feed.confirmed", "retry.confirmed", "partitions.revoked"]))
    def kill_at_checkpoint(self, name: str) -> None:
        self.kill_at = name

    @rule(failures=st.integers(0, 2), pause=st.sampled_from([0, 1, 4]))
    def rebalance(self, failures: int, pause: float) -> None:
        async def rebalance() -> None:
            await self.flow.on_revoked()
            self.group.failures["begin"].extend([KafkaConnectionError()] * failures)
            await asyncio.sleep(pause)
            self.group.generation += 1
            await self.flow.on_assigned()

        self.run(rebalance())

    # -- the world -------------------------------------------------------------------------------

    @rule(count=st.integers(1, 12), missing=st.booleans())
    def announce(self, count: int, missing: bool) -> None:
        ids = range(self.posts + 1, self.posts + count + 1)
        self.posts += count
        if missing:
            self.ever_missing.add(ids[0])
        self.lookup.found |= {PostId(post): Found(b"{}", None) for post in ids[int(missing) :]}

        # Whatever happens to the worker at this moment: its death does not keep the producer from it.
        self.loop.call_soon(lambda: self.rabbitmq.publish(*(b"%d" % post for post in ids)))
        self.run(asyncio.sleep(0))

    @rule(partition=st.sampled_from(range(PARTITIONS)), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=3))
    def another_worker_announces(self, partition: int, sizes: list[int]) -> None:
        """Write records of several ids, as another worker's bridge does: MAX_BATCH cuts within them and across them."""
        for size in sizes:
            ids = [PostId(post) for post in range(self.posts + 1, self.posts + size + 1)]
            self.posts += size
            self.lookup.found |= dict.fromkeys(ids, Found(b"{}", None))
            self.group.write(Partition(partition), self.wall(), encode_created(Created(ids, 0)))

    @rule()
    def insert_what_is_missing(self) -> None:
        self.lookup.found |= {PostId(post): Found(b"{}", None) for post in self.ever_missing}

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(seconds=st.sampled_from([-100, -3, 3, 100]))
    def clock_is_set(self, seconds: float) -> None:
        self.set_by += seconds

    @rule(
        topic=st.sampled_from([SETTINGS.created_topic, SETTINGS.feed_topic, SETTINGS.dead_topic]), is_open=st.booleans()
    )
    def kafka_confirms(self, topic: str, is_open: bool) -> None:
        gate = self.kafka.gate(topic)
        (gate.open if is_open else gate.shut)()

    @rule(is_open=st.booleans())
    def database_answers(self, is_open: bool) -> None:
        (self.lookup.gate.open if is_open else self.lookup.gate.shut)()

    @rule(error=st.sampled_from([Unavailable("away"), TimedOut("slow"), ZeroDivisionError("a defect")]))
    def lookup_fails(self, error: Exception) -> None:
        """Fail one statement. An error of no known kind that strikes one id alone sets it aside (law 7)."""
        self.lookup.failures.append(error)
        self.defects += isinstance(error, ZeroDivisionError)

    @rule()
    def write_fails(self) -> None:
        """For a reason that nobody has thought of."""
        self.kafka.failures.append(ZeroDivisionError("a defect"))

    @rule(failures=st.integers(1, 3))
    def commits_fail(self, failures: int) -> None:
        self.group.failures["commit"].extend([KafkaConnectionError()] * failures)

    @rule()
    def consumer_loses_its_place(self) -> None:
        """Fetch some records, and drop them on their way."""
        for partition in self.group.partitions:
            list(self.group.fetch(partition, count=2))

    @rule()
    def connection_to_rabbitmq_is_lost(self) -> None:
        async def lose() -> None:
            if self.rabbitmq.subscriptions:
                self.rabbitmq.lose("cut")

        self.run(lose())

    # -- the promise -----------------------------------------------------------------------------

    @invariant()
    def what_is_committed_is_somewhere_else(self) -> None:
        safe = set(self.shown()) | self.dead()
        for partition, committed in self.group.commits.items():
            for offset, (_, value) in self.group.logs[partition].items():
                created = decode_created(value)
                if offset < committed:
                    assert all(post in safe or self.is_announced_again(post, created.attempt) for post in created.ids)

    @invariant()
    def what_is_acknowledged_is_in_kafka(self) -> None:
        assert {int(body) for body in self.rabbitmq.acknowledged} <= {
            int(post) for created in self.kafka.created for post in created.ids
        }

    @invariant()
    def no_statement_is_larger_than_allowed(self) -> None:
        assert all(len(ids) <= SETTINGS.max_batch for ids in self.lookup.asked)

    @invariant()
    def the_worker_lives(self) -> None:
        assert not self.flow.crashed
        assert not self.bridge.crashed

    @invariant()
    def nothing_is_shown_twice(self) -> None:
        shown = self.shown()
        assert len(shown) == len(set(shown))

    def is_announced_again(self, post: PostId, attempt: int) -> bool:
        return any(post in created.ids and created.attempt > attempt for created in self.kafka.created)

    def shown(self) -> list[int]:
        """Return what a client sees that was there from the beginning."""
        repeats = Repeats(reach=1000)
        seen: list[int] = []
        for offset, value in enumerate(self.kafka.values(SETTINGS.feed_topic)):
            publications = decode_feed(value).publications
            seen += [publications[index].id for index in repeats.first_seen(Offset(offset), publications)]
        return seen

    def dead(self) -> set[int]:
        return {int(decode_dead(value).body) for value in self.kafka.values(SETTINGS.dead_topic)}

    def teardown(self) -> None:
        """However it went: when everything answers, everything is shown in the end, released and acknowledged."""
        try:
            self.settle()
            shown, dead = self.shown(), self.dead()
            assert self.is_done()
            assert set(shown) | dead == set(range(1, self.posts + 1))
            assert dead <= self.ever_missing or self.defects
            assert len(shown) == len(set(shown))
            assert self.flow.standing.held_live + self.flow.standing.held_overdue == 0
        finally:
            self.end()
            self.loop.close()

    def settle(self) -> None:
        self.kill_at = None
        self.lookup.failures.clear()
        self.kafka.failures.clear()
        for failures in self.group.failures.values():
            failures.clear()
        for gate in (self.lookup.gate, *self.kafka.gates.values()):
            gate.open()
        for turn in range(40):
            if self.is_done():
                return
            if turn == 20:
                # The consumer lost the newest record of a partition, and no other came: the watchdog sees that it
                # stands still.
                self.kill()
            self.run(asyncio.sleep(5))

    def is_done(self) -> bool:
        ends = {partition: end for partition, end in self.group.end.items() if end}
        return self.group.commits == ends and not self.rabbitmq.ready and not self.rabbitmq.unacknowledged


def test_the_models_batches_are_cut_within_records_and_across_them() -> None:
    """A worker that is killed between two of them shows the rest of each record, and nothing twice."""
    model = Delivery()
    model.another_worker_announces(0, [3, 3, 3])
    model.time_passes(3.0)
    assert model.lookup.asked == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
    model.another_worker_announces(1, [3, 3])
    model.kill_at_checkpoint("feed.confirmed")
    model.time_passes(3.0)
    assert model.lookup.asked[3] == [10, 11, 12, 13]
    assert model.group.commits == {Partition(0): Offset(3)}
    model.teardown()
    assert model.group.commits == {Partition(0): Offset(3), Partition(1): Offset(2)}
    assert model.lookup.asked[4] == [10, 11, 12, 13]


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
