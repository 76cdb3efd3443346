"""Pages are shared by those who are sent them at the same time, and bounded in memory."""

import asyncio
import gc
import json
from typing import Any

import pytest

from edge.clients.post_answers import Page
from edge.clients.post_pages import Pages
from edge.feed.log import Log
from edge.feed.paging import Extent
from edge.feed.position import Cursor
from edge.feed.reads import Chunk, Reading
from edge.feed.selection import Selection
from edge.wire.handshake import Rejected
from edge.wire.json_encoding import JSON
from streams.contract import Offset
from tests.edge.kit.records import cursor, log_of, publication, record

READING = Reading(JSON)
EXTENT = Extent(1 << 16, 10)


def nobody() -> None:
    """Press nobody."""


def log_with(records: int, first: int = 0) -> Log:
    """Make a log of records with a post each."""
    return log_of(*(record(first + number) for number in range(records)))


def at(log: Log, offset: int) -> Cursor:
    """Return the cursor behind a record of :func:`log_with`."""
    return cursor(offset, 1, record(offset)) if offset >= 0 else log.cursor_at(log.tail)


async def test_those_who_ask_at_the_same_time_share_one_page() -> None:
    log = log_with(25)
    pages = Pages(log, EXTENT, 1 << 20, nobody)
    made = await asyncio.gather(*(pages.get(at(log, 4), READING) for _ in range(100)))
    assert isinstance(made[0], Page)
    assert all(each is made[0] for each in made)
    assert [each["payload"]["id"] for each in json.loads(made[0].body)] == [5, 6, 7, 8, 9]
    assert (made[0].is_full, made[0].posts, pages.made) == (True, 5, 1)
    assert await pages.get(at(log, 4), READING) is made[0]


class Turns(Log):
    """A log that notes in which turns of the loop it is read."""

    most = 0
    reads = 0

    def read(self, *args: Any, **kwargs: Any) -> Chunk:
        self.reads += 1
        self.most = max(self.most, self.reads)
        return super().read(*args, **kwargs)

    async def count(self) -> None:
        """Count the reads of each turn."""
        while True:
            self.reads = 0
            await asyncio.sleep(0)


async def test_pages_that_are_made_at_the_same_time_are_read_for_one_after_the_other() -> None:
    """Each in a turn of the loop: a slice may take a millisecond."""
    log = Turns(limit=1 << 24, reach=1000)
    log.begin(Offset(0), Offset(0))
    for number in range(25):
        log.append(Offset(number), record(number))
    pages = Pages(log, EXTENT, 1 << 20, nobody)
    counting = asyncio.create_task(log.count())
    made = await asyncio.gather(*(pages.get(at(log, number), READING) for number in range(12)))
    counting.cancel()
    assert all(made)
    assert pages.made == 12
    assert log.most == 1


async def test_a_page_costs_what_it_is_for_as_long_as_somebody_has_it() -> None:
    log = log_with(25)
    pages = Pages(log, EXTENT, 1 << 20, nobody)
    page = await pages.get(at(log, 4), READING)
    assert isinstance(page, Page)
    assert pages.size == len(page.body)
    del page
    # The loop remembers what it has called last.
    await asyncio.sleep(0)
    gc.collect()
    assert pages.size == 0
    assert isinstance(await pages.get(at(log, 4), READING), Page)
    assert pages.made == 2


async def test_the_newest_page_is_made_again_once_something_follows() -> None:
    log = log_with(5)
    pages = Pages(log, EXTENT, 1 << 20, nobody)
    before = await pages.get(at(log, 2), READING)
    assert before is await pages.get(at(log, 2), READING)
    log.append(Offset(5), record(5))
    after = await pages.get(at(log, 2), READING)
    assert isinstance(before, Page)
    assert isinstance(after, Page)
    assert (before.posts, after.posts) == (2, 3)


async def test_a_page_behind_no_record_is_not_that_of_a_topic_that_was_made_anew() -> None:
    log = log_with(10)
    pages = Pages(log, EXTENT, 1 << 20, nobody)
    before = await pages.get(at(log, -1), READING)
    log.begin(Offset(0), Offset(0))
    for number in range(11):
        log.append(Offset(number), record(100 + number))
    after = await pages.get(at(log, -1), READING)
    assert isinstance(before, Page)
    assert isinstance(after, Page)
    assert (before.is_full, after.is_full) == (True, True)
    assert json.loads(after.body)[0]["payload"]["id"] == 100


async def test_there_is_no_more_than_there_is_room_for() -> None:
    """What is being made counts as a whole page."""
    log = log_of(*(record(publication(number, text="x" * 5000)) for number in range(40)))
    places = [log.cursor_at(log.position_at(Offset(10 * number))) for number in range(4)]
    pressed: list[None] = []
    pages = Pages(log, EXTENT, 3 * EXTENT.bytes, lambda: pressed.append(None))
    first, second, third, fourth = await asyncio.gather(*(pages.get(place, READING) for place in places))
    assert isinstance(fourth, Rejected)
    assert (fourth.status, fourth.why, len(pressed)) == (503, "pages", 1)
    assert pages.refusal(places[3], READING) == fourth
    assert len(pressed) == 2
    # What somebody is sent takes no room.
    assert pages.refusal(places[1], READING) is None
    assert all(isinstance(each, Page) for each in (first, second, third))
    assert 3 * 50_000 < pages.size <= 3 * EXTENT.bytes
    del first
    await asyncio.sleep(0)
    gc.collect()
    assert isinstance(await pages.get(places[3], READING), Page)


async def test_one_who_leaves_takes_the_page_from_nobody() -> None:
    log = log_of(*(record(publication(number, text="x" * 5000)) for number in range(10)))
    pages = Pages(log, EXTENT, 1 << 20, nobody)
    one = asyncio.create_task(pages.get(log.cursor_at(log.tail), READING))
    other = asyncio.create_task(pages.get(log.cursor_at(log.tail), READING))
    await asyncio.sleep(0)
    one.cancel()
    page = await other
    assert isinstance(page, Page)
    assert page.posts == 10
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_a_page_of_some_authors_is_another_page_with_another_tag() -> None:
    log = log_of(*(record(publication(number, author=number % 2)) for number in range(25)))
    pages = Pages(log, EXTENT, 1 << 20, nobody)
    everything, *some = [
        await pages.get(log.cursor_at(log.tail), Reading(JSON, chosen))
        for chosen in (None, Selection([1]), Selection([1]), Selection([2]), Selection([]))
    ]
    bodies = [[each["payload"]["id"] for each in json.loads(page.body)] for page in some if isinstance(page, Page)]
    assert bodies == [[1, 3, 5, 7, 9]] * 2 + [[]] * 2
    assert isinstance(everything, Page)
    tags = [everything.tag, *(page.tag for page in some if isinstance(page, Page))]
    assert tags[1] == tags[2]
    assert len(set(tags)) == 4
