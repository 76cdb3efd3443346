"""Laws 1 and 2 as a machine: a simulated log, a worker that crashes at every step, and what clients see.

The worker here is the real windows and the real frontier in the order in which :mod:`streams.agent`
uses them; Kafka is a few lists. Between any two steps the worker may die, lose its partitions, or find
its clock elsewhere. Whatever happens, every post is shown, once, to clients of every edge.
"""

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.feed.repeats import Repeats
from streams.contract import Millis, Offset, Partition, PostId, Publication
from streams.frontier import Frontier
from streams.windows import Batch, Windows, parts

SIZE = Millis(5000)
PARTITIONS = (Partition(0), Partition(1))


class Delivery(RuleBasedStateMachine):
    """One worker, two partitions, one feed."""

    def __init__(self) -> None:
        super().__init__()
        self.log: dict[Partition, list[tuple[int, int]]] = {p: [] for p in PARTITIONS}  # (timestamp, post)
        self.committed = dict.fromkeys(PARTITIONS, 0)
        self.feed: list[list[int]] = []
        self.now = 10_000
        self.posts = 0
        self.start()

    def start(self) -> None:
        self.windows = Windows(SIZE)
        self.windows.assign(PARTITIONS)
        self.frontier: Frontier[Partition] = Frontier()
        self.read = dict(self.committed)
        self.to_do: list[Batch] = []
        self.confirmed: Batch | None = None

    # -- the world -------------------------------------------------------------------------------

    @rule(partition=st.sampled_from(PARTITIONS), skew=st.integers(-20_000, 20_000))
    def announce(self, partition: Partition, skew: int) -> None:
        self.posts += 1
        self.log[partition].append((self.now + skew, self.posts))

    @rule(step=st.integers(1, 8000))
    def time_passes(self, step: int) -> None:
        self.now += step

    @rule()
    def crash(self) -> None:
        self.start()

    # -- the worker ------------------------------------------------------------------------------

    @rule(partition=st.sampled_from(PARTITIONS), count=st.integers(1, 5))
    def poll(self, partition: Partition, count: int) -> None:
        for timestamp, post in self.log[partition][self.read[partition] : self.read[partition] + count]:
            offset = Offset(self.read[partition])
            self.frontier.hold(partition, offset)
            self.windows.add(
                partition=partition,
                offset=offset,
                timestamp=Millis(timestamp),
                now=Millis(self.now),
                post=PostId(post),
                attempt=0,
            )
            self.read[partition] += 1

    @precondition(lambda self: not self.to_do)
    @rule(pressed=st.booleans(), max_batch=st.integers(1, 4))
    def close(self, pressed: bool, max_batch: int) -> None:
        read = {p for p in PARTITIONS if self.read[p] == len(self.log[p])}
        batch = self.windows.close(Millis(self.now), read)
        if batch is None and pressed:
            batch = self.windows.take()
        if batch is not None:
            self.to_do = list(parts(batch, max_batch))

    @precondition(lambda self: self.to_do and self.confirmed is None)
    @rule()
    def publish(self) -> None:
        self.confirmed = self.to_do.pop(0)
        self.feed.append(list(dict.fromkeys(int(r.post) for r in self.confirmed.records)))

    @precondition(lambda self: self.confirmed is not None)
    @rule()
    def finish(self) -> None:
        assert self.confirmed is not None
        for record in self.confirmed.records:
            self.frontier.finish(record.partition, [record.offset])
        self.confirmed = None

    @rule()
    def commit(self) -> None:
        for partition, last in self.frontier.release().items():
            assert last + 1 > self.committed[partition]
            self.committed[partition] = last + 1

    # -- the promise -----------------------------------------------------------------------------

    @invariant()
    def what_is_committed_is_on_the_feed(self) -> None:
        published = {post for record in self.feed for post in record}
        for partition, offset in self.committed.items():
            assert {post for _, post in self.log[partition][:offset]} <= published

    @invariant()
    def nothing_is_shown_twice(self) -> None:
        shown = self.shown()
        assert len(shown) == len(set(shown))

    def shown(self) -> list[int]:
        """Return what a client sees that was there from the beginning."""
        repeats = Repeats(reach=1000)
        seen: list[int] = []
        for offset, posts in enumerate(self.feed):
            publications = [Publication("created", post, msgspec.Raw(b"{}")) for post in posts]
            seen += [posts[index] for index in repeats.first_seen(Offset(offset), publications)]
        return seen

    def teardown(self) -> None:
        """However it went: without further crashes everything is shown in the end, and released."""
        for _ in range(10_000):
            for partition in PARTITIONS:
                self.poll(partition, 1000)
            self.now += 5000
            if not self.to_do:
                self.close(pressed=False, max_batch=3)
            if self.to_do and self.confirmed is None:
                self.publish()
            if self.confirmed is not None:
                self.finish()
            self.commit()
            if all(self.committed[p] == len(self.log[p]) for p in PARTITIONS):
                break
        assert sorted(self.shown()) == list(range(1, self.posts + 1))
        assert self.frontier.held == 0
        assert {p: len(log) for p, log in self.log.items()} == self.committed


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=200, stateful_step_count=40)
