"""Pages of what the log has no more: in order and once, from a topic in memory, for what they may cost."""

import asyncio
import json
import math
from collections import Counter
from http import HTTPStatus
from random import Random

import pytest

from edge.clients.post_answers import Answer
from edge.clients.post_old_pages import OldPages
from edge.clients.post_pace import APART_SECONDS, GRACE_SECONDS
from edge.clients.post_pages import Pages
from edge.clients.post_reading import Poll, PostReading
from edge.clients.post_requests import PostsRequest, Sentinel
from edge.clients.post_waiters import Waiters
from edge.fanout.filters import Filters
from edge.feed.paging import Extent
from edge.feed.position import Cursor, parse
from edge.feed.replaying import Limits
from edge.feed.selection import Selection
from edge.wire.handshake import Rejected
from tests.edge.feed.test_replaying import MIB, REACH, RECORDS, Rig, running, value
from tests.edge.kit.edge import MemoryFeed
from tests.edge.kit.records import log_of
from tests.streams.virtual import virtual

EXTENT = Extent(1 << 16, 10)
FOR_EVER = "public, max-age=31536000, immutable"


class Reader:
    """A client that reads pages of ten records."""

    def __init__(self, rig: Rig, *, room: int = MIB, extent: Extent = EXTENT, seconds: float = 30) -> None:
        waiters = Waiters(rig.log, asyncio.get_running_loop(), Filters())
        self.pressed = 0
        pages = Pages(rig.log, extent, room, self.press)
        self.reading = PostReading(
            rig.log,
            MemoryFeed(rig.log, waiters),
            pages,
            OldPages(rig.replays, pages, extent, lambda: 0.5),
            waiters,
            join_seconds=seconds,
            patience=1,
            share=lambda: 0.5,
        )

    def press(self) -> None:
        """Count how often room was wanted."""
        self.pressed += 1

    async def ask(self, offset: Cursor | Sentinel, *authors: int) -> Answer:
        """Return the answer to a request that is not refused."""
        asked = PostsRequest(offset, selection=Selection(authors) if authors else None)
        answer = await self.reading.answer(asked, Poll("a"))
        assert isinstance(answer, Answer), answer
        return answer

    async def refused(self, offset: Cursor) -> Rejected:
        """Return why a request is refused."""
        refused = await self.reading.answer(PostsRequest(offset), Poll("a"))
        assert isinstance(refused, Rejected)
        return refused


def ids(answer: Answer) -> list[int]:
    """Name the posts of a page."""
    return [message["payload"]["id"] for message in json.loads(answer.body)]


def place(answer: Answer) -> Cursor:
    """Return where to go on."""
    cursor = parse(answer.headers["Stream-Next-Offset"])
    assert isinstance(cursor, Cursor)
    return cursor


async def test_pages_lead_from_an_old_place_to_the_end_in_order_and_once() -> None:
    """Through one replay, and from there into the log without a seam."""
    async with running(Rig()) as rig:
        reader, seen, offset = Reader(rig), list[int](), rig.cursor(23)
        answer = await reader.ask(offset)
        while "Stream-Up-To-Date" not in answer.headers:
            seen += ids(answer)
            answer = await reader.ask(place(answer))
        seen += ids(answer)
        assert seen == list(range(24, RECORDS))
        assert rig.replays.begun == 1
        assert rig.topic.read_records <= RECORDS


async def test_an_old_page_is_what_it_was_when_it_was_new() -> None:
    """So it may be kept, and no cache has two of one place."""
    async with running(Rig()) as rig:
        old = await Reader(rig).ask(rig.cursor(23))
        new = Rig()
        new.log = log_of(*rig.values)
        asked = await Reader(new).ask(rig.cursor(23))
        assert (old.status, old.headers, old.body) == (asked.status, asked.headers, asked.body)
        assert old.headers["Cache-Control"] == FOR_EVER
        assert ids(old) == list(range(24, 30))


@pytest.mark.parametrize("cut", [0, 50])
async def test_the_beginning_is_the_first_record_that_kafka_has_and_may_be_offered(cut: int) -> None:
    """Where retention has cut, repeats are known of those behind as many as make them."""
    async with running(Rig()) as rig:
        rig.topic.remove_before(cut)
        reader = Reader(rig)
        first = cut + REACH if cut else 0
        answer = await reader.ask(Sentinel.BEGINNING)
        assert (ids(answer)[0], answer.headers["Cache-Control"]) == (first, "no-store")
        assert ids(await reader.ask(place(answer)))[0] == ids(answer)[-1] + 1
        again = await reader.ask(Sentinel.BEGINNING)
        # The first may have ended where the replay was then: behind records that are not shown it is not waited for.
        assert (ids(again)[: len(ids(answer))], rig.replays.begun) == (ids(answer), 1)


async def test_the_beginning_is_the_logs_where_nothing_else_may_be_offered() -> None:
    async with running(Rig()) as rig:
        rig.topic.remove_before(RECORDS - 5)
        assert ids(await Reader(rig).ask(Sentinel.BEGINNING))[0] == RECORDS - 10


async def test_what_retention_has_removed_is_gone() -> None:
    async with running(Rig()) as rig:
        rig.topic.remove_before(50)
        answer = await Reader(rig).ask(rig.cursor(23))
        assert (answer.status, json.loads(answer.body)["reason"]) == (HTTPStatus.GONE, "expired")
        assert place(answer) == rig.cursor(RECORDS - 1)


async def test_a_page_ends_before_a_hole_and_what_is_behind_it_is_gone() -> None:
    async with running(Rig()) as rig:
        rig.topic.become(*rig.values[:27], None, *rig.values[28:])
        reader = Reader(rig)
        answer = await reader.ask(rig.cursor(23))
        assert (ids(answer), answer.headers["Cache-Control"]) == ([24, 25, 26], "no-store")
        await asyncio.sleep(APART_SECONDS)
        answer = await reader.ask(place(answer))
        assert (answer.status, json.loads(answer.body)["reason"]) == (HTTPStatus.GONE, "interrupted")


async def test_the_beginning_is_gone_where_a_hole_comes_before_the_first_post() -> None:
    """The log has only the newest posts of those behind it."""
    async with running(Rig()) as rig:
        rig.topic.become(None, *rig.values[1:])
        answer = await Reader(rig).ask(Sentinel.BEGINNING)
        assert (answer.status, json.loads(answer.body)["reason"]) == (HTTPStatus.GONE, "interrupted")
        assert place(answer) == rig.cursor(RECORDS - 1)


async def test_a_reader_with_a_filter_moves_on_over_old_posts_that_it_did_not_choose() -> None:
    async with running(Rig()) as rig:
        reader = Reader(rig)
        answer = await reader.ask(rig.cursor(23), 7)
        assert ids(answer) == []
        assert rig.cursor(29).position <= place(answer).position < rig.cursor(150).position
        assert "Stream-Up-To-Date" not in answer.headers


async def test_clients_that_ask_at_random_begin_one_replay_a_second() -> None:
    """Whoever they are: others are told when to come back, and what Kafka is asked for is bounded."""
    async with running(Rig(records=1000, length=2000, limits=Limits(4, 4, 32 * MIB))) as rig:
        reader = Reader(rig)
        assert (await reader.ask(rig.cursor(100))).status == HTTPStatus.OK
        for number in (800, 400, 600, 700, 900, 500):
            refused = await reader.refused(rig.cursor(number))
            assert refused.status == HTTPStatus.SERVICE_UNAVAILABLE
            assert 0 < (refused.retry_after or 0) <= 2 * APART_SECONDS
        # What is at hand is given all the same.
        assert ids(await reader.ask(rig.cursor(109)))[0] == 110
        assert rig.replays.begun == 1
        # The records that make repeats, those about the place, and what is read ahead.
        assert rig.topic.read_records < 300
        await asyncio.sleep(APART_SECONDS)
        assert (await reader.ask(rig.cursor(800))).status == HTTPStatus.OK
        assert rig.replays.begun == 2


@virtual
async def test_an_address_that_asks_all_the_time_takes_old_pages_from_nobody() -> None:
    """Others come when they are told to, in whole seconds, and each has a sixth of the replays that begin."""
    async with running(Rig(records=6000, length=1000, limits=Limits(4, 2, 2 * MIB))) as rig:
        reader, pages, random = Reader(rig), Counter[str](), Random(1)  # noqa: S311 - any places will do
        clock = asyncio.get_running_loop().time
        end = clock() + 30

        async def read(address: str) -> None:
            while clock() < end:
                offset = rig.cursor(random.randrange(20, 5900))
                found = await reader.reading.answer(PostsRequest(offset), Poll(address))
                pages[address] += isinstance(found, Answer)
                retry = math.ceil(found.retry_after or 0) if isinstance(found, Rejected) else 0
                await asyncio.sleep(0.02 if address == "greedy" else 0.02 + retry)

        await asyncio.gather(*map(read, ("greedy", *"abcde")))
        # What a replay of somebody has at hand is given beside that.
        assert min(pages[address] for address in "abcde") >= 4, pages
        assert 28 <= rig.replays.begun <= 30 + GRACE_SECONDS + 1


async def test_a_request_beyond_the_bounds_on_replays_takes_no_turn() -> None:
    async with running(Rig(limits=Limits(3, 1, 24 * MIB))) as rig:
        reader = Reader(rig)
        async with rig.replays.at(rig.cursor(150), "a"):
            for _ in range(3):
                refused = await reader.refused(rig.cursor(20))
                assert "address" in refused.sentence
        assert rig.replays.refused == {"address": 3}
        answer = await reader.reading.answer(PostsRequest(rig.cursor(80)), Poll("b"))
        assert isinstance(answer, Answer)


async def test_beyond_the_bounds_on_replays_a_client_is_told_when_to_come_back() -> None:
    async with running(Rig(limits=Limits(2, 1, 16 * MIB))) as rig:
        reader = Reader(rig)
        async with rig.replays.at(rig.cursor(150), "a"):
            refused = await reader.refused(rig.cursor(20))
        assert (refused.status, refused.retry_after) == (503, 6.0)


async def test_without_room_for_a_page_no_replay_begins_and_who_is_sent_one_is_pressed() -> None:
    """It is not Kafka's fault: the refusal says so, and slow takers make room for old pages, too."""
    async with running(Rig()) as rig:
        reader = Reader(rig, room=1)
        refused = await reader.refused(rig.cursor(20))
        assert (refused.status, refused.retry_after, refused.why) == (503, 1.0, "pages")
        assert (reader.pressed, rig.replays.begun) == (1, 0)


async def test_without_room_for_a_page_that_a_replay_has_at_hand_it_is_the_same() -> None:
    async with running(Rig()) as rig, rig.replays.at(rig.cursor(20), "a"):
        reader = Reader(rig, room=1)
        refused = await reader.refused(rig.cursor(20))
        assert (refused.status, refused.retry_after, refused.why) == (503, 1.0, "pages")
        assert reader.pressed == 1


async def test_what_kafka_does_not_send_in_time_is_not_waited_for_any_longer() -> None:
    async with running(Rig()) as rig:
        rig.topic.is_away = True
        refused = await Reader(rig, seconds=0.1).refused(rig.cursor(20))
        assert (refused.status, refused.retry_after) == (503, 1.0)


async def test_a_page_of_long_records_reads_little_more_than_it_holds() -> None:
    """Not all records up to the next multiple."""
    async with running(Rig(length=20_000, limits=Limits(2, 2, 64 * MIB), records=100)) as rig:
        rig.topic.become(*(value(number, 20_000) for number in range(100)))
        reader = Reader(rig, extent=Extent(30_000, 1000))
        answer = await reader.ask(rig.cursor(39))
        assert ids(answer) == [40]
        assert rig.topic.read_records < 90
