"""What requests to ``/posts`` are answered, by a feed that is written and read by hand, and without HTTP."""

import asyncio
import json
from dataclasses import replace
from http import HTTPStatus

from edge.clients.post_answers import Answer
from edge.clients.post_old_pages import OldPages
from edge.clients.post_pages import Pages
from edge.clients.post_reading import Poll, PostReading
from edge.clients.post_requests import PostsRequest, Sentinel
from edge.clients.post_waiters import AT_ONCE, Waiters
from edge.fanout.filters import Filters
from edge.fanout.member import Member
from edge.feed.log import Log
from edge.feed.paging import Extent
from edge.feed.position import Cursor, Gap, before
from edge.feed.replay import Replay
from edge.feed.replaying import Place
from edge.feed.seats import Seat
from edge.wire.handshake import Rejected
from streams.contract import Offset
from tests.edge.kit.edge import MemoryFeed
from tests.edge.kit.old import Gone
from tests.edge.kit.records import cursor, log_of, publication, record
from tests.streams.virtual import virtual

JOIN_SECONDS = 5.0
PATIENCE = 20.0
BEGINNING = PostsRequest()
NOW = PostsRequest(Sentinel.NOW)
POLL = replace(NOW, waits=True)


class Reading:
    """A reading of a log."""

    def __init__(
        self,
        log: Log,
        *,
        share: float = 0.5,
        room: int = 1 << 20,
        old: Gone | None = None,
        feed: type[MemoryFeed] = MemoryFeed,
    ) -> None:
        self.log = log
        self.waiters = Waiters(log, asyncio.get_running_loop(), Filters())
        self.feed = feed(log, self.waiters)
        self.pressed = 0
        extent = Extent(1 << 16, 10)
        pages = Pages(log, extent, room, self.press)
        self.old = Gone() if old is None else old
        self.reading = PostReading(
            log,
            self.feed,
            pages,
            OldPages(self.old, pages, extent, lambda: share),
            self.waiters,
            join_seconds=JOIN_SECONDS,
            patience=PATIENCE,
            share=lambda: share,
        )
        self.poll = Poll()

    def press(self) -> None:
        """Count how often room was wanted."""
        self.pressed += 1

    async def answer(self, request: PostsRequest) -> Answer:
        """Return the answer to a request that is not refused."""
        answer = await self.reading.answer(request, self.poll)
        assert isinstance(answer, Answer)
        return answer

    async def refused(self, request: PostsRequest) -> tuple[int, float | None]:
        """Return with which status a request is refused, and when to come back."""
        refused = await self.reading.answer(request, self.poll)
        assert isinstance(refused, Rejected)
        return refused.status, refused.retry_after

    async def asking(self, request: PostsRequest) -> "asyncio.Task[Answer]":
        """Have a request wait."""
        task = asyncio.create_task(self.answer(request))
        await asyncio.sleep(1)
        assert not task.done()
        return task


def ids(answer: Answer) -> list[int]:
    """Name the posts of an answer."""
    return [message["payload"]["id"] for message in json.loads(answer.body)]


def next_offset(answer: Answer) -> str:
    return answer.headers["Stream-Next-Offset"]


def is_newest(answer: Answer) -> bool:
    return answer.headers.get("Stream-Up-To-Date") == "true"


def seconds() -> float:
    return asyncio.get_running_loop().time()


def numbered(count: int) -> list[bytes]:
    return [record(number) for number in range(count)]


def behind(number: int) -> Cursor:
    """Return the cursor behind a record of :func:`numbered`."""
    return cursor(number, 1, record(number))


@virtual
async def test_the_beginning_is_the_first_record_that_may_be_offered() -> None:
    log = Log(limit=1 << 20, reach=1000)
    log.begin(Offset(3), Offset(5))
    for number in range(3, 8):
        log.append(Offset(number), record(number))
    answer = await Reading(log).answer(BEGINNING)
    assert (ids(answer), next_offset(answer), is_newest(answer)) == ([5, 6, 7], str(behind(7)), True)


@virtual
async def test_a_reader_goes_on_from_page_to_page_until_it_is_told_that_it_is_up_to_date() -> None:
    reading = Reading(log_of(*numbered(25)))
    seen, answer = [], await reading.answer(BEGINNING)
    while True:
        seen.append((ids(answer), is_newest(answer)))
        if is_newest(answer):
            break
        place = next(
            Cursor(each.position, each.stamp) for each in map(behind, range(25)) if str(each) == next_offset(answer)
        )
        answer = await reading.answer(PostsRequest(place))
    assert seen == [(list(range(10)), False), (list(range(10, 20)), False), (list(range(20, 25)), True)]


@virtual
async def test_at_the_end_there_is_an_empty_page_that_says_so() -> None:
    answer = await Reading(log_of(*numbered(5))).answer(PostsRequest(behind(4)))
    assert (answer.status, answer.body, next_offset(answer), is_newest(answer)) == (200, b"[]", str(behind(4)), True)
    assert answer.headers["ETag"] == f'"{behind(4)}-{behind(4)}"'


@virtual
async def test_now_is_the_end_that_kafka_knows() -> None:
    """What was in the feed when the request came is not sent, also when the log is late."""
    reading = Reading(log_of(*numbered(5)))
    reading.feed.pending.append(record(5))
    task = await reading.asking(NOW)
    reading.feed.catch_up()
    answer = await task
    assert (answer.status, answer.body, next_offset(answer), is_newest(answer)) == (200, b"[]", str(behind(5)), True)


@virtual
async def test_a_log_that_is_late_is_waited_for_where_nothing_follows_yet() -> None:
    """An empty page that says that more follows would be asked for again at once."""
    reading = Reading(log_of(*numbered(5)))
    reading.feed.pending.append(record(5))
    task = await reading.asking(PostsRequest(behind(4)))
    reading.feed.catch_up()
    answer = await task
    assert (ids(answer), is_newest(answer)) == ([5], True)


@virtual
async def test_a_page_of_posts_waits_for_nothing_and_says_that_more_may_follow() -> None:
    reading = Reading(log_of(*numbered(5)))
    reading.feed.pending.append(record(5))
    answer = await reading.answer(PostsRequest(behind(2)))
    assert (ids(answer), is_newest(answer), seconds()) == ([3, 4], False, 1000.0)


@virtual
async def test_up_to_date_is_judged_against_an_end_that_is_a_second_old_at_most() -> None:
    reading = Reading(log_of(*numbered(5)))
    assert is_newest(await reading.answer(PostsRequest(behind(2))))
    reading.feed.pending.append(record(5))
    assert is_newest(await reading.answer(PostsRequest(behind(2))))
    await asyncio.sleep(1.01)
    assert not is_newest(await reading.answer(PostsRequest(behind(2))))


@virtual
async def test_while_kafka_is_away_what_the_log_has_is_sent_and_nothing_is_said_of_the_end() -> None:
    reading = Reading(log_of(*numbered(25)))
    reading.feed.trouble = "Kafka does not answer."
    answer = await reading.answer(PostsRequest(behind(4)))
    assert (ids(answer), is_newest(answer)) == ([5, 6, 7, 8, 9], False)
    answer = await reading.answer(PostsRequest(behind(22)))
    assert (ids(answer), is_newest(answer)) == ([23, 24], False)
    for request in (BEGINNING, NOW, POLL, PostsRequest(behind(24)), PostsRequest(behind(25))):
        assert await reading.refused(request) == (503, 1.0)
    assert isinstance(await reading.reading.head(), Rejected)


@virtual
async def test_a_log_that_does_not_get_there_in_time_is_said() -> None:
    reading = Reading(log_of(*numbered(5)))
    reading.feed.pending.append(record(5))
    assert await reading.refused(NOW) == (503, 1.0)
    assert seconds() == 1000 + JOIN_SECONDS


class Silent(MemoryFeed):
    """A feed of which Kafka does not say where it ends, for a long time."""

    async def end(self) -> Offset | None:
        await asyncio.sleep(100)
        return None


@virtual
async def test_kafkas_word_is_not_waited_for_longer_than_clients_wait_for_anything() -> None:
    """Also by many at once: they wait for the same answer."""
    reading = Reading(log_of(*numbered(25)), feed=Silent)
    for request in (BEGINNING, NOW, POLL, PostsRequest(behind(24)), PostsRequest(before(Offset(99)))):
        begun = seconds()
        assert await asyncio.gather(*(reading.refused(request) for _ in range(9))) == [(503, 1.0)] * 9
        assert seconds() == begun + JOIN_SECONDS
    begun = seconds()
    answer = await reading.answer(PostsRequest(behind(22)))
    assert (ids(answer), is_newest(answer), seconds()) == ([23, 24], False, begun + JOIN_SECONDS)
    await asyncio.sleep(1)
    assert isinstance(await reading.reading.head(), Rejected)
    assert seconds() == begun + 1 + 2 * JOIN_SECONDS


@virtual
async def test_head_tells_the_end() -> None:
    assert await Reading(log_of(*numbered(5))).reading.head() == Answer(
        HTTPStatus.OK, {"Cache-Control": "no-store", "Stream-Next-Offset": str(behind(4))}
    )


@virtual
async def test_a_long_poll_gets_what_follows_at_once() -> None:
    reading = Reading(log_of(*numbered(25)))
    answer = await reading.answer(PostsRequest(behind(4), waits=True))
    assert (ids(answer), seconds()) == ([5, 6, 7, 8, 9], 1000.0)
    assert "Stream-Cursor" in answer.headers


@virtual
async def test_a_long_poll_waits_for_the_next_post() -> None:
    reading = Reading(log_of(*numbered(5)))
    tasks = [await reading.asking(request) for request in (POLL, PostsRequest(behind(4), waits=True))]
    reading.feed.publish(5)
    for answer in await asyncio.gather(*tasks):
        assert (ids(answer), next_offset(answer), is_newest(answer)) == ([5], str(behind(5)), True)
        assert "Stream-Cursor" in answer.headers
    assert len(reading.waiters) == 0


@virtual
async def test_a_long_poll_in_vain_ends_within_its_time_and_tells_the_end() -> None:
    for share in (0.0, 0.5, 1.0):
        reading, begun = Reading(log_of(*numbered(5)), share=share), seconds()
        answer = await reading.answer(POLL)
        assert (answer.status, answer.body, next_offset(answer), is_newest(answer)) == (204, b"", str(behind(4)), True)
        assert seconds() - begun == (0.9 + 0.2 * share) * PATIENCE
        assert len(reading.waiters) == 0


@virtual
async def test_a_long_poll_moves_on_over_records_that_have_nothing_for_it() -> None:
    """Its place would fall out of the log before its time is over."""
    reading = Reading(log_of(record(7), limit=1 << 14))
    task = await reading.asking(PostsRequest(cursor(0, 1, record(7)), waits=True))
    for _ in range(100):
        reading.feed.publish(7)
        await asyncio.sleep(0.01)
    answer = await task
    assert (answer.status, next_offset(answer)) == (204, str(cursor(100, 1, record(7))))


@virtual
async def test_a_post_that_comes_as_the_time_ends_is_neither_lost_nor_sent_twice() -> None:
    reading = Reading(log_of(*numbered(5)), share=0.0)
    task = asyncio.create_task(reading.answer(POLL))
    asyncio.get_running_loop().call_at(seconds() + 0.9 * PATIENCE, reading.feed.publish, 5)
    answer = await task
    after = await reading.answer(PostsRequest(behind(5) if answer.status == HTTPStatus.OK else behind(4)))
    assert ([] if answer.status == HTTPStatus.NO_CONTENT else ids(answer)) + ids(after) == [5]


@virtual
async def test_a_poll_that_is_over_is_answered_at_once() -> None:
    """At a drain, and when nobody gets the answer any more."""
    reading = Reading(log_of(*numbered(5)))
    task = await reading.asking(POLL)
    reading.poll.end()
    answer = await task
    assert (answer.status, seconds()) == (204, 1001.0)
    assert (await reading.answer(POLL)).status == HTTPStatus.NO_CONTENT
    assert seconds() == 1001.0


@virtual
async def test_a_gap_is_told_to_those_who_wait_and_to_those_who_come() -> None:
    reading = Reading(log_of(*numbered(5)))
    task = await reading.asking(PostsRequest(behind(4), waits=True))
    reading.log.skip_to(Offset(9))
    reading.waiters.interrupt("interrupted")
    reading.log.append(Offset(9), record(9))
    for answer, reason in ((await task, "interrupted"), (await reading.answer(PostsRequest(behind(4))), "expired")):
        payload = json.loads(answer.body)
        assert (answer.status, payload["reason"], payload["lost"]) == (410, reason, {"records": 5})
        assert next_offset(answer) == str(cursor(9, 1, record(9)))
        assert json.loads(answer.body)["cursor"] == next_offset(answer)


@virtual
async def test_a_log_that_has_begun_anew_is_waited_for_until_it_shows_what_comes() -> None:
    """Before that it has no place to go on from, and Kafka is not asked for what it may have itself."""
    reading = Reading(log_of(*numbered(5)))
    reading.log.begin(Offset(5), Offset(8))
    task = await reading.asking(PostsRequest(behind(2)))
    assert reading.old.asked == []
    for number in range(5, 8):
        reading.log.append(Offset(number), record(number))
    reading.feed.catch_up()
    answer = await task
    assert (answer.status, next_offset(answer)) == (410, str(behind(7)))
    assert [cursor for cursor, _ in reading.old.asked] == [behind(2)]


def long_post(number: int) -> bytes:
    """Make a record of which a small log keeps some twenty."""
    return record(publication(number, text="x" * 1000))


def small(count: int, seen: int) -> tuple[Reading, Cursor]:
    """Have a small log read so many records; a replay has all that come behind a cursor, which is returned."""
    values = [long_post(number) for number in range(100)]
    log, at = log_of(*values[:count], limit=40_000, reach=0), cursor(seen, 1, values[seen])
    replay: Replay[Member] = Replay(log_of(*values), first=Offset(0), reach=0, address="a")
    return Reading(log, old=Gone(Place(replay, at.position, Seat(at), lambda *_: asyncio.sleep(0)))), at


@virtual
async def test_what_the_log_moves_past_while_its_page_waits_for_its_turn_is_read_where_it_is() -> None:
    """Kafka has it still: it is not gone because other pages were made first."""
    reading, place = small(20, 15)
    task = asyncio.create_task(reading.answer(PostsRequest(place)))
    await asyncio.sleep(0)
    for number in range(20, 80):
        reading.feed.publish(publication(number, text="x" * 1000))
    answer = await task
    assert (answer.status, ids(answer), next_offset(answer)) == (
        HTTPStatus.OK,
        [16, 17, 18, 19],
        str(cursor(19, 1, long_post(19))),
    )
    assert reading.old.asked == [(place, "")]


@virtual
async def test_what_the_log_moves_past_before_a_long_poll_is_looked_at_is_read_where_it_is() -> None:
    reading, place = small(20, 19)
    task = await reading.asking(PostsRequest(place, waits=True))
    for number in range(20, 80):
        reading.feed.publish(publication(number, text="x" * 1000))
    answer = await task
    assert (answer.status, ids(answer), seconds()) == (HTTPStatus.OK, list(range(20, 30)), 1001.0)
    assert reading.old.asked == [(place, "")]


@virtual
async def test_the_beginning_that_the_log_moves_past_while_its_page_is_made_is_still_the_beginning() -> None:
    reading, _ = small(10, 0)
    task = asyncio.create_task(reading.answer(BEGINNING))
    await asyncio.sleep(0)
    for number in range(10, 80):
        reading.feed.publish(publication(number, text="x" * 1000))
    assert (await task).status == HTTPStatus.OK
    assert reading.old.asked == [(before(Offset(0)), "")]


@virtual
async def test_a_hole_before_the_first_post_is_said_to_who_begins_at_the_beginning() -> None:
    """What lies between it and the log is not passed over; how much is missing nobody knows."""
    reading = Reading(log_of(record(9), first=9), old=Gone(Gap("interrupted")))
    answer = await reading.answer(BEGINNING)
    payload = json.loads(answer.body)
    assert (answer.status, payload["reason"], "lost" in payload) == (HTTPStatus.GONE, "interrupted", False)
    assert next_offset(answer) == str(cursor(9, 1, record(9)))


@virtual
async def test_places_that_are_not_in_the_feed_are_gone() -> None:
    reading = Reading(log_of(*numbered(5)))
    for place, reason in (
        (cursor(2, 1, b"another"), "recreated"),
        (before(Offset(9)), "unknown"),
    ):
        answer = await reading.answer(PostsRequest(place))
        payload = json.loads(answer.body)
        assert (answer.status, payload["reason"], "lost" in payload) == (410, reason, False)
        assert next_offset(answer) == str(behind(4))


@virtual
async def test_a_place_from_an_edge_that_is_ahead_is_waited_for() -> None:
    """And that is ahead of an end that was asked for a moment ago."""
    reading = Reading(log_of(*numbered(5)))
    await reading.answer(NOW)
    reading.feed.pending += [record(5), record(6)]
    task = await reading.asking(PostsRequest(behind(5)))
    reading.feed.catch_up()
    assert ids(await task) == [6]


@virtual
async def test_a_broker_that_was_deposed_makes_no_gap() -> None:
    reading = Reading(log_of(*numbered(5)))
    reading.feed.unseen = 1
    assert await reading.refused(PostsRequest(behind(5))) == (503, 1.0)
    reading.feed.confirms = False
    assert await reading.refused(PostsRequest(behind(5))) == (503, 1.0)


@virtual
async def test_without_room_for_a_page_a_client_is_told_to_come_back() -> None:
    log = log_of(*(record(publication(number, text="x" * 4000)) for number in range(30)))
    reading = Reading(log, room=1 << 16)
    first = await reading.answer(BEGINNING)
    assert await reading.refused(PostsRequest(before(Offset(20)))) == (503, 1.0)
    assert (first.page, reading.pressed) != (None, 0)
    del first
    await asyncio.sleep(0)
    assert (await reading.answer(PostsRequest(before(Offset(20))))).status == HTTPStatus.OK


@virtual
async def test_records_that_come_while_a_page_is_made_are_not_missed() -> None:
    """A poll that saw the end before them looks again."""
    reading = Reading(log_of(*numbered(5)))
    task = asyncio.create_task(reading.answer(PostsRequest(behind(4), waits=True)))
    for _ in range(3):
        await asyncio.sleep(0)
    reading.feed.publish(5)
    assert ids(await task) == [5]
    assert seconds() == 1000.0


@virtual
async def test_a_poll_ends_when_its_clients_token_does() -> None:
    """At once, with what it has; and it goes on from there with another token."""
    reading = Reading(log_of(*numbered(5)))
    reading.poll.ends_at = seconds() + 3
    answer = await reading.answer(POLL)
    assert (answer.status, next_offset(answer), is_newest(answer)) == (204, str(behind(4)), True)
    assert 1003 <= seconds() < 1003.1
    assert len(reading.waiters) == 0


@virtual
async def test_a_token_that_outlasts_the_poll_changes_nothing() -> None:
    reading = Reading(log_of(*numbered(5)))
    reading.poll.ends_at = seconds() + PATIENCE + 1
    assert (await reading.answer(POLL)).status == 204
    assert 1000 + PATIENCE <= seconds() < 1000.1 + PATIENCE


@virtual
async def test_many_polls_that_end_together_are_answered_a_few_at_a_time() -> None:
    """In each turn of the loop; an answer takes aiohttp 0.3 ms."""
    reading = Reading(log_of(*numbered(5)))
    polls = [Poll() for _ in range(500)]
    done = 0

    async def wait(poll: Poll) -> None:
        nonlocal done
        poll.ends_at = 1003
        await reading.reading.answer(POLL, poll)
        done += 1

    tasks = [asyncio.create_task(wait(poll)) for poll in polls]
    most = 0
    while done < len(polls):
        before = done
        await asyncio.sleep(0 if seconds() >= 1003 else 0.5)
        most = max(most, done - before)
    assert most <= 2 * AT_ONCE
    await asyncio.gather(*tasks)
