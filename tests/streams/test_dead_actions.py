"""Letters are settled in groups: posts first, then the marks."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing

import pytest

from streams.contract import Created, PostId, dead_letter, decode_dead
from streams.dead import DISMISSED, REQUEUED, Action, Letter, Verdict, judge
from streams.dead_actions import NotConfirmed, settle
from streams.progress import Progress, Work
from tests.streams.dead_letters import GROUPED, MISSING, POISON, placed
from tests.streams.doubles import MemoryPublisher


@pytest.fixture
def work() -> Iterator[Work]:
    with Progress(lambda: 0.0).stage("dead").work() as open_work:
        yield open_work


async def verdicts(action: Action, letters: Iterable[Letter]) -> AsyncIterator[Verdict]:
    for letter in letters:
        yield judge(action, letter)


async def settled(
    action: Action, letters: Iterable[Letter], publisher: MemoryPublisher, work: Work, *, patience: float = 30
) -> list[Verdict]:
    given = verdicts(action, letters)
    settling = settle(action, given, publisher, dead_topic="posts.dead", work=work, patience=patience)
    return [verdict async for verdict in settling]


def marks(publisher: MemoryPublisher) -> list[tuple[str, bytes]]:
    return [(mark.reason, mark.body) for mark in map(decode_dead, publisher.values("posts.dead"))]


async def test_requeueing_announces_the_posts_and_then_marks_the_letters(work: Work) -> None:
    publisher = MemoryPublisher(partitions=1)
    letters = [placed(MISSING, 4), placed(POISON, 5), placed(GROUPED, 6, partition=1), placed(MISSING, 7)]
    done = await settled(REQUEUED, letters, publisher, work)
    assert [verdict.letter.place.offset for verdict in done] == [5, 4, 6, 7]
    assert publisher.created == [Created([PostId(12), PostId(5), PostId(6), PostId(7)])]
    assert marks(publisher) == [("requeued", b"4"), ("requeued", b"1:6"), ("requeued", b"7")]
    assert [record.topic for record in publisher.records] == ["posts.created"] + ["posts.dead"] * 3
    assert {record.partition for record in publisher.records} == {0}


async def test_dismissing_announces_nothing(work: Work) -> None:
    publisher = MemoryPublisher()
    done = await settled(DISMISSED, [placed(MISSING, 4), placed(POISON, 5)], publisher, work)
    assert len(done) == 2
    assert publisher.created == []
    assert marks(publisher) == [("dismissed", b"4"), ("dismissed", b"5")]


async def test_nothing_selected_writes_nothing(work: Work) -> None:
    publisher = MemoryPublisher()
    assert await settled(REQUEUED, [], publisher, work) == []
    assert publisher.records == []


async def test_no_letter_is_marked_before_its_posts_are_confirmed(work: Work) -> None:
    publisher = MemoryPublisher()
    publisher.gate("posts.created").shut()
    settling = asyncio.create_task(settled(REQUEUED, [placed(MISSING)], publisher, work))
    while not publisher.gate("posts.created").waiting:
        await asyncio.sleep(0)
    assert publisher.records == []
    publisher.gate("posts.created").open()
    await settling
    assert marks(publisher) == [("requeued", b"0")]


async def test_a_long_list_takes_two_writes_for_a_thousand_posts(work: Work) -> None:
    publisher = MemoryPublisher(partitions=1)
    letters = [placed(dead_letter("missing", "", b"%d" % post), post) for post in range(1, 2_501)]
    assert len(await settled(REQUEUED, letters, publisher, work)) == 2_500
    assert [len(record.ids) for record in publisher.created] == [1_000, 1_000, 500]
    assert len(marks(publisher)) == 2_500


async def test_a_group_holds_a_bounded_number_of_bytes(work: Work) -> None:
    publisher = MemoryPublisher()
    body = b'{"id":12,"padding":"' + b"x" * 60_000 + b'"}'
    settling = settle(
        REQUEUED,
        verdicts(REQUEUED, [placed(dead_letter("missing", "", body), offset) for offset in range(200)]),
        publisher,
        dead_topic="posts.dead",
        work=work,
    )
    async with aclosing(settling):
        await anext(settling)
        assert len(marks(publisher)) == 70


async def test_a_kafka_that_does_not_confirm_ends_the_work_with_what_it_waits_for(
    work: Work,
) -> None:
    publisher = MemoryPublisher()
    publisher.gate("posts.dead").shut()
    with pytest.raises(NotConfirmed, match=r"does not confirm what is written: "):
        await settled(DISMISSED, [placed(MISSING)], publisher, work, patience=0)
    assert publisher.records == []
