"""What becomes of a closed window."""

from datetime import datetime

import pytest
from prometheus_client import CollectorRegistry

from streams import completion as module
from streams.completion import Completion
from streams.contract import (
    Created,
    Millis,
    Offset,
    Partition,
    PostId,
    decode_created,
    decode_dead,
    decode_feed,
)
from streams.enrichment import Row
from streams.lookup import TimedOut, Unavailable, Unreadable
from streams.settings import Settings
from streams.telemetry import Health, Metrics
from streams.windows import Batch, Record
from tests.streams.doubles import MemoryLookup, MemoryPublisher


class Bench:
    """A completion between two doubles, and what it said on the way."""

    def __init__(self, lookup: MemoryLookup) -> None:
        self.settings = Settings(
            amqp_url="amqp://broker", database_url="postgres://database", kafka_url="kafka://broker"
        )
        self.lookup = lookup
        self.publisher = MemoryPublisher()
        self.health = Health()
        self.points: list[str] = []
        self.completion = Completion(
            self.settings,
            lookup=lookup,
            publisher=self.publisher,
            health=self.health,
            metrics=Metrics(CollectorRegistry()),
            reached=self.points.append,
        )

    async def complete(self, *posts: int, attempt: int = 0) -> None:
        records = [
            Record(Millis(0), Partition(0), Offset(offset), PostId(post), attempt) for offset, post in enumerate(posts)
        ]
        await self.completion.complete(Batch(Millis(5000), records))

    def shown(self) -> list[list[int]]:
        return [[p.id for p in decode_feed(value).publications] for value in self.publisher.values("posts.feed")]

    def dead(self) -> list[tuple[str, bytes]]:
        letters = map(decode_dead, self.publisher.values("posts.dead"))
        return [(letter.reason, letter.body) for letter in letters]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "delays", lambda: iter([0.0] * 100))


def row(post: int, description: str = "", images: int = 0) -> Row:
    return Row(PostId(post), description, datetime(2024, 1, 1), 7, "seven", ["k" * 200] * images, 0)


async def test_a_window_is_one_statement_and_one_record() -> None:
    bench = Bench(MemoryLookup([row(1), row(2), row(3)]))
    await bench.complete(3, 1, 2, 1)
    assert bench.lookup.asked == [[3, 1, 2]]
    assert bench.shown() == [[3, 1, 2]]
    assert decode_feed(bench.publisher.values("posts.feed")[0]).window == 5000
    assert bench.points == ["feed.confirmed"]


async def test_a_large_window_is_shown_in_order_in_several_records() -> None:
    bench = Bench(MemoryLookup([row(post, "x" * 500) for post in range(1, 1001)]))
    await bench.complete(*range(1, 1001))
    assert len(bench.shown()) > 1
    assert [post for part in bench.shown() for post in part] == list(range(1, 1001))
    assert bench.points == ["feed.split"] * (len(bench.shown()) - 1) + ["feed.confirmed"]


async def test_a_missing_post_is_announced_again_and_keeps_its_key() -> None:
    bench = Bench(MemoryLookup([row(1)]))
    await bench.complete(1, 2)
    assert bench.shown() == [[1]]
    [(_, key, value)] = [r for r in bench.publisher.records if r[0] == "posts.created"]
    assert (key, decode_created(value)) == (b"2", Created(2, 1))
    assert bench.points == ["feed.confirmed", "retry.confirmed"]


async def test_a_post_still_missing_at_its_last_attempt_is_dead() -> None:
    bench = Bench(MemoryLookup())
    await bench.complete(2, attempt=2)
    assert bench.dead() == [("missing", b"2")]
    assert bench.shown() == []
    assert bench.points == []


async def test_a_database_that_is_away_is_asked_again_and_the_worker_says_so() -> None:
    bench = Bench(MemoryLookup([row(1)], [Unavailable("refused"), Unavailable("starting up")]))
    problems: list[dict[str, str]] = []
    asked = bench.lookup.posts

    async def posts(ids: list[PostId]) -> dict[PostId, Row]:
        problems.append(bench.health.problems)
        return await asked(ids)

    bench.lookup.posts = posts  # type: ignore[assignment,method-assign]  # to look at health between two calls
    await bench.complete(1)
    assert bench.shown() == [[1]]
    assert problems == [
        {},
        {"database": "waiting for PostgreSQL: refused"},
        {"database": "waiting for PostgreSQL: starting up"},
    ]
    assert bench.health.problems == {}


async def test_what_cannot_be_read_is_halved_until_it_stands_alone() -> None:
    bench = Bench(MemoryLookup([row(post) for post in range(1, 9)]))
    bench.lookup.poisoned = {PostId(6): Unreadable("date out of range")}
    await bench.complete(*range(1, 9))
    assert bench.shown() == [[1, 2, 3, 4, 5, 7, 8]]
    assert bench.dead() == [("unreadable", b"6")]
    # 8, then 4 + 4, then 2 + 2 of the second half, then 1 + 1.
    assert [len(ids) for ids in bench.lookup.asked] == [8, 4, 4, 2, 1, 1, 2]


async def test_a_statement_that_takes_too_long_is_halved() -> None:
    bench = Bench(MemoryLookup([row(post) for post in range(1, 5)], [TimedOut("10 s")]))
    await bench.complete(1, 2, 3, 4)
    assert bench.shown() == [[1, 2, 3, 4]]
    assert bench.lookup.asked == [[1, 2, 3, 4], [1, 2], [3, 4]]


async def test_a_single_id_that_times_out_is_tried_again_and_never_given_up() -> None:
    bench = Bench(MemoryLookup([row(1)], [TimedOut("locked")] * 5))
    await bench.complete(1)
    assert bench.shown() == [[1]]
    assert bench.dead() == []
    assert bench.lookup.asked == [[1]] * 6


async def test_a_post_larger_than_kafka_takes_is_dead_and_its_window_goes_on() -> None:
    bench = Bench(MemoryLookup([row(1), row(2, images=6000), row(3)]))
    await bench.complete(1, 2, 3)
    assert bench.shown() == [[1], [3]]
    assert bench.dead() == [("too_large", b"2")]
