"""What becomes of a batch: completed, retried or set aside, and nothing of it released before it is confirmed."""

import asyncio
import json
from collections.abc import Iterable

import pytest
import structlog
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from streams.completion import Completion
from streams.contract import Created, Millis, Offset, Partition, PostId, decode_dead, decode_feed
from streams.enrichment import Found
from streams.letters import LetterLog
from streams.lookup import TimedOut, Unavailable, Unreadable
from streams.progress import Progress, Waiting
from streams.settings import Settings
from streams.telemetry import Metrics
from streams.windows import Batch, Record
from tests.streams.doubles import MemoryLookup, MemoryPublisher

FEED, CREATED, DEAD = "posts.feed", "posts.created", "posts.dead"


def posts(numbers: Iterable[int], size: int = 0) -> dict[PostId, Found]:
    """Return posts with payloads of about that size."""
    return {PostId(n): Found(json.dumps({"id": n, "description": "x" * size}).encode(), 7) for n in numbers}


class Bench:
    """A completion between two doubles, and what it said on the way."""

    def __init__(self, lookup: MemoryLookup, publisher: MemoryPublisher | None = None, **settings: object) -> None:
        self.now = 0.0
        self.registry = CollectorRegistry()
        self.progress = Progress(lambda: self.now)
        self.look_up, self.publish = self.progress.stage("look up"), self.progress.stage("publish")
        self.lookup = lookup
        self.publisher = publisher or MemoryPublisher()
        self.points: list[str] = []
        self.warned: list[tuple[str, int]] = []
        self.letters = LetterLog(lambda: self.now, lambda reason, number: self.warned.append((reason, number)))
        self.pauses: list[float] = []
        self.completion = Completion(
            Settings.model_validate(
                {"amqp_url": "amqp://b", "database_url": "postgres://d", "kafka_url": "kafka://b", **settings}
            ),
            lookup=lookup,
            publisher=self.publisher,
            look_up=self.look_up,
            publish=self.publish,
            metrics=Metrics(self.registry, self.progress),
            letters=self.letters,
            checkpoint=self.points.append,
            clock=lambda: self.now,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    async def complete(self, *ids: int, attempt: int = 0) -> None:
        records = [
            Record(Millis(0), Partition(0), Offset(offset), 0, PostId(post), attempt) for offset, post in enumerate(ids)
        ]
        await self.completion.complete(Batch(Millis(5000), records))

    @property
    def shown(self) -> list[list[int]]:
        return [[p.id for p in decode_feed(value).publications] for value in self.publisher.values(FEED)]

    @property
    def dead(self) -> list[tuple[str, bytes]]:
        letters = map(decode_dead, self.publisher.values(DEAD))
        return [(letter.reason, letter.body) for letter in letters]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


async def turns(number: int = 20) -> None:
    """Let others run for some turns of the event loop."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_batch_is_one_statement_and_one_record() -> None:
    bench = Bench(MemoryLookup(posts([1, 2, 3])))
    await bench.complete(3, 1, 2, 1)
    assert bench.lookup.asked == [[3, 1, 2]]
    assert bench.shown == [[3, 1, 2]]
    record = decode_feed(bench.publisher.values(FEED)[0])
    assert record.window == 5000
    assert record.publications[0].author == 7
    assert bench.points == ["feed.confirmed"]
    assert bench.metric("postcast_posts_total") == 3
    assert bench.metric("postcast_batches_total") == 1
    assert bench.metric("postcast_lookup_seconds_count") == 1


async def test_a_large_batch_is_shown_in_order_in_several_records() -> None:
    bench = Bench(MemoryLookup(posts(range(1, 1001), 500)))
    await bench.complete(*range(1, 1001))
    assert len(bench.shown) > 1
    assert [post for part in bench.shown for post in part] == list(range(1, 1001))
    assert bench.points == ["feed.split"] * (len(bench.shown) - 1) + ["feed.confirmed"]


async def test_missing_posts_are_announced_again_together_by_their_attempts() -> None:
    bench = Bench(MemoryLookup(posts([1])))
    records = [
        Record(Millis(0), Partition(0), Offset(n), 0, PostId(post), attempt)
        for n, (post, attempt) in enumerate([(1, 0), (2, 0), (3, 1), (4, 0)])
    ]
    await bench.completion.complete(Batch(Millis(5000), records))
    assert bench.shown == [[1]]
    announced: dict[int, set[int]] = {}
    for created in bench.publisher.created:
        announced.setdefault(created.attempt, set()).update(created.ids)
    assert announced == {1: {2, 4}, 2: {3}}
    assert bench.points == ["feed.confirmed", "retry.confirmed", "retry.confirmed"]
    assert bench.metric("postcast_retries_total") == 3


async def test_retries_of_one_partition_share_a_record() -> None:
    bench = Bench(MemoryLookup(), MemoryPublisher(partitions=1))
    await bench.complete(1, 2, 3)
    assert bench.publisher.created == [Created([PostId(1), PostId(2), PostId(3)], 1)]


async def test_a_post_still_missing_at_its_last_attempt_is_dead() -> None:
    bench = Bench(MemoryLookup())
    await bench.complete(2, attempt=2)
    assert bench.dead == [("missing", b"2")]
    assert bench.shown == []
    assert bench.points == []
    assert bench.metric("postcast_dead_letters_total", reason="missing") == 1


@pytest.mark.parametrize("topic", [FEED, CREATED, DEAD])
async def test_nothing_is_complete_before_everything_is_confirmed(topic: str) -> None:
    """C6: the feed, retries and dead letters alike."""
    bench = Bench(MemoryLookup(posts([1])), max_attempts=2)
    bench.publisher.gate(topic).shut()
    records = [
        Record(Millis(0), Partition(0), Offset(n), 0, PostId(post), attempt)
        for n, (post, attempt) in enumerate([(1, 0), (2, 0), (3, 1)])
    ]
    completing = asyncio.create_task(bench.completion.complete(Batch(Millis(5000), records)))
    await turns()
    assert bench.publisher.gate(topic).waiting == 1
    assert not completing.done()
    assert bench.progress.waiting == [
        Waiting("publish", "kafka", f"Kafka has not confirmed what was written to {topic}")
    ]
    assert bench.metric("postcast_dead_letters_total", reason="missing") in {None, 0}
    bench.publisher.gate(topic).open()
    await completing
    assert bench.shown == [[1]]
    assert bench.publisher.created == [Created((PostId(2),), 1)]
    assert bench.dead == [("missing", b"3")]
    assert bench.progress.waiting == []
    assert bench.metric("postcast_dead_letters_total", reason="missing") == 1


async def test_dead_letters_are_counted_when_they_are_confirmed_and_one_line_says_how_many() -> None:
    bench = Bench(MemoryLookup())
    bench.publisher.failures.append(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await bench.complete(2, attempt=2)
    bench.letters.flush()
    assert bench.warned == []
    await bench.complete(2, 3, 4, attempt=2)
    bench.letters.flush()
    assert bench.warned == [("missing", 3)]


async def test_a_database_that_is_away_is_asked_again_ever_less_often_and_named() -> None:
    bench = Bench(MemoryLookup(posts([1])))
    bench.lookup.failures.extend([Unavailable("refused")] * 8)
    bench.lookup.gate.turns = 3
    completing = asyncio.create_task(bench.complete(1))
    seen: list[list[Waiting]] = []
    while not completing.done():
        await asyncio.wait([completing], timeout=0)
        if not seen or seen[-1] != bench.progress.waiting:
            seen.append(bench.progress.waiting)
    assert seen == [
        [],
        [Waiting("look up", "database", "waiting for the database (PostgreSQL): refused")],
        [],
    ]
    assert bench.shown == [[1]]


async def test_after_an_answer_the_next_statement_waits_for_nothing() -> None:
    """C3: what an earlier statement of the batch waited for is not said of a later one."""
    bench = Bench(MemoryLookup(posts([1, 2]), [Unavailable("refused"), None]), max_batch=1)
    completing = asyncio.create_task(bench.complete(1, 2))
    while len(bench.lookup.asked) < 2:
        await asyncio.sleep(0)
    assert [waiting.why for waiting in bench.progress.waiting] == ["waiting for the database (PostgreSQL): refused"]
    bench.lookup.gate.turns = 100
    while len(bench.lookup.asked) < 3:
        await asyncio.sleep(0)
    assert bench.progress.waiting == []
    await completing
    assert bench.lookup.asked == [[1], [1], [2]]


async def test_the_pauses_between_two_attempts_grow_and_begin_anew() -> None:
    """C7: a database that refuses is not asked in a hot loop."""
    away = Unavailable("refused")
    bench = Bench(MemoryLookup(posts(range(1, 5)), [away] * 7 + [None] + [away] * 2), max_batch=2)
    await bench.complete(1, 2, 3, 4)
    assert bench.pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 0.1, 0.2]


async def test_a_statement_under_way_for_five_seconds_is_waited_for_and_has_an_age() -> None:
    bench = Bench(MemoryLookup(posts([1])))
    bench.lookup.gate.shut()
    completing = asyncio.create_task(bench.complete(1))
    await turns()
    bench.now = 4.9
    assert bench.progress.waiting == []
    bench.now = 5.0
    [waiting] = bench.progress.waiting
    assert (waiting.stage, waiting.service) == ("look up", "database")
    assert bench.metric("postcast_statement_age_seconds") == 5
    assert bench.metric("postcast_waiting", part="look up") == 1
    bench.lookup.gate.open()
    await completing
    assert bench.metric("postcast_statement_age_seconds") == 0
    assert bench.metric("postcast_waiting", part="look up") == 0


async def test_a_lock_is_waited_for_at_once_and_makes_no_halves() -> None:
    """H1: no statement is halved, and the worker waits from the first time-out on."""
    bench = Bench(MemoryLookup(posts(range(1, 9)), [TimedOut("10 s")] * 20))
    bench.lookup.gate.turns = 2
    completing = asyncio.create_task(bench.complete(*range(1, 9)))
    while len(bench.lookup.asked) < 2:
        await asyncio.wait([completing], timeout=0)
    while not completing.done() and bench.lookup.failures:
        assert bench.progress.waiting == [
            Waiting("look up", "database", "the database (PostgreSQL) takes too long: 10 s")
        ]
        await asyncio.wait([completing], timeout=0)
    await completing
    assert bench.shown == [[*range(1, 9)]]
    assert [len(ids) for ids in bench.lookup.asked] == [8] + [1] * (19 + 8)
    assert bench.metric("postcast_halvings_total") == 0
    assert bench.dead == []


async def test_a_post_that_always_takes_too_long_alone_does_not_hold_up_the_feed_for_ever() -> None:
    """It is named while it is tried, for five minutes at least."""
    bench = Bench(MemoryLookup(posts(range(1, 9))))
    bench.lookup.poisoned = {PostId(5): TimedOut("canceling statement")}
    completing = asyncio.create_task(bench.complete(*range(1, 9)))
    while len(bench.pauses) < 3:
        await asyncio.sleep(0)
    named = "the database (PostgreSQL) takes too long for post 5 alone, and not for others"
    while not completing.done() and bench.pauses[-1:] != [5.0]:
        assert bench.progress.waiting == [Waiting("look up", "database", named)]
        await asyncio.sleep(0)
    await completing
    assert bench.shown == [[1, 2, 3, 4, 6, 7, 8]]
    assert bench.dead == [("unreadable", b"5")]
    assert 300 <= bench.now < 310
    assert bench.pauses[:8] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert bench.progress.waiting == []
    bench.lookup.asked.clear()
    await bench.complete(*range(1, 9))
    assert bench.lookup.asked[0] == [*range(1, 9)]


async def test_a_size_that_is_too_slow_is_remembered_and_tried_again_later() -> None:
    slow = TimedOut("10 s")
    bench = Bench(MemoryLookup(posts(range(1, 9)), [slow, None, slow, None]))
    await bench.complete(*range(1, 9))
    assert [len(ids) for ids in bench.lookup.asked] == [8, 1, 4, 1, 2, 2, 2]
    assert bench.metric("postcast_halvings_total") == 2
    del bench.lookup.asked[:]
    await bench.complete(*range(1, 9))
    await bench.complete(*range(1, 9))
    assert [len(ids) for ids in bench.lookup.asked] == [4, 4, 8]


async def test_what_cannot_be_read_is_set_aside_and_the_rest_is_shown() -> None:
    bench = Bench(MemoryLookup(posts(range(1, 9))))
    bench.lookup.poisoned = {PostId(6): Unreadable("date out of range")}
    await bench.complete(*range(1, 9))
    assert bench.shown == [[1, 2, 3, 4, 5, 7, 8]]
    assert bench.dead == [("unreadable", b"6")]
    assert bench.metric("postcast_halvings_total") == 3
    assert bench.metric("postcast_control_lookups_total") == 1
    # C3: nothing is waited for afterwards.
    assert bench.progress.waiting == []


async def test_when_even_a_post_that_was_read_before_fails_the_worker_waits_and_says_so() -> None:
    """Law 7: a function that is missing is not the ids' fault."""
    bench = Bench(MemoryLookup(posts(range(1, 9))))
    await bench.complete(1)
    bench.lookup.failures.extend([Unreadable("a function is missing")] * 20)
    bench.lookup.gate.turns = 2
    completing = asyncio.create_task(bench.complete(*range(2, 9)))
    while not bench.pauses:
        await asyncio.wait([completing], timeout=0)
    while bench.lookup.failures:
        # Without a gap, also while the id and the control are asked again.
        assert [(w.stage, w.service) for w in bench.progress.waiting] == [("look up", "database")]
        assert "a function is missing" in bench.progress.waiting[0].why
        await asyncio.wait([completing], timeout=0)
    await completing
    assert bench.dead == []
    assert sorted(post for part in bench.shown for post in part) == [*range(1, 9)]
    assert bench.pauses[:3] == [0.1, 0.2, 0.4]


async def test_without_a_control_five_tries_decide() -> None:
    bench = Bench(MemoryLookup())
    bench.lookup.poisoned = {PostId(1): Unreadable("date out of range")}
    await bench.complete(1)
    assert bench.lookup.asked == [[1]] * 5
    assert bench.dead == [("unreadable", b"1")]
    assert bench.progress.waiting == []


async def test_an_error_that_nobody_expects_is_logged_once_with_its_traceback_and_treated_as_the_ids() -> None:
    """L9, M9: no silent loop, and no crash."""
    structlog.reset_defaults()
    bench = Bench(MemoryLookup(posts([1, 2, 3])))
    bench.lookup.poisoned = {PostId(2): KeyError("author")}
    with capture_logs() as logs:
        await bench.complete(1, 2, 3)
        await bench.complete(1, 2, 3)
    assert bench.shown == [[1, 3], [1, 3]]
    assert [(reason, body) for reason, body in bench.dead] == [("unreadable", b"2")] * 2
    assert decode_dead(bench.publisher.values(DEAD)[0]).detail == "KeyError: 'author'"
    [line] = [entry for entry in logs if entry["event"] == "lookup.failed"]
    assert isinstance(line["exc_info"], KeyError)


async def test_the_databases_words_about_a_post_are_cut() -> None:
    bench = Bench(MemoryLookup())
    bench.lookup.poisoned = {PostId(1): Unreadable("x" * 1_000_000)}
    await bench.complete(1)
    assert len(decode_dead(bench.publisher.values(DEAD)[0]).detail) == 1000


async def test_a_post_larger_than_kafka_takes_is_dead_and_its_batch_goes_on() -> None:
    bench = Bench(MemoryLookup({**posts([1, 3]), **posts([2], 1_000_000)}))
    await bench.complete(1, 2, 3)
    assert bench.shown == [[1], [3]]
    assert bench.dead == [("too_large", b"2")]
    assert bench.metric("postcast_posts_total") == 2


async def test_a_record_larger_than_the_topic_takes_is_split_in_order() -> None:
    """L2: the operator's limit may be smaller than ours."""
    bench = Bench(MemoryLookup({**posts(range(1, 9), 100), **posts([6], 900)}), MemoryPublisher(limit=800))
    await bench.complete(*range(1, 9))
    assert [post for part in bench.shown for post in part] == [1, 2, 3, 4, 5, 7, 8]
    assert bench.dead == [("too_large", b"6")]
    assert max(len(value) for value in bench.publisher.values(FEED)) <= 800
