"""Following the feed, with a topic in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count

import pytest
import structlog

from edge.fanout.session import Session
from edge.feed import ends, follow, health, quiet
from edge.feed.follow import Source
from edge.feed.log import Log
from edge.feed.position import Position
from edge.feed.repeats import DAY
from edge.feed.topic import Read, Unreachable, Unreadable
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import Offset
from tests.edge.kit.lines import Line, Turns, hub_of
from tests.edge.kit.memory import AskedReader, AskedTopic
from tests.edge.kit.records import everything, ids, messages, record
from tests.edge.kit.running import running


class Rig:
    """A source between a topic in memory and a log."""

    def __init__(self, topic: AskedTopic, *, history: int = 1000, reach: int = 1000, patience: float = 0) -> None:
        self.topic = topic
        self.log = Log(limit=1 << 20, reach=reach)
        self.turns = Turns()
        self.hub = hub_of(self.log, self.turns, 1 << 16)
        self.source = Source(
            topic.connect,
            name="posts.feed",
            log=self.log,
            hub=self.hub,
            history=history,
            reach=reach,
            patience=patience,
        )

    @property
    def shown(self) -> list[int]:
        """The posts that the log offers."""
        return ids(everything(self.log, self.log.tail))


@asynccontextmanager
async def following(rig: Rig) -> AsyncIterator[Rig]:
    """Run the source meanwhile."""
    async with running(rig.source.run()):
        yield rig


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so."""
    while not condition():
        await asyncio.sleep(0)


async def test_reads_the_feed_and_says_when_it_is_followed() -> None:
    """What is there is offered as history, what comes is live."""
    topic = AskedTopic(record(1), b"junk", record(1, 2))
    async with following(Rig(topic)) as rig:
        assert rig.source.trouble == "Kafka was not reached yet."
        await until(lambda: rig.source.trouble is None)
        assert rig.shown == [1, 2]
        await topic.change(*topic.values, record(3))
        await rig.source.reached(Offset(4))
        assert rig.shown == [1, 2, 3]
        assert (rig.source.records, rig.source.repeats, rig.source.undecodable) == (4, 1, 1)


async def test_begins_as_far_back_as_repeats_reach() -> None:
    """Law 2: two records of history, each decided upon with the one before it."""
    async with following(Rig(AskedTopic(*map(record, range(9), range(1, 10))), history=2, reach=1)) as rig:
        await rig.source.reached(Offset(9))
        assert rig.shown == [8, 9]


@pytest.mark.parametrize(("days", "offered"), [(7, 42), (0.9, 0)])
async def test_on_a_slow_feed_all_but_the_oldest_day_is_offered(days: float, offered: int) -> None:
    """``DEDUP_SECONDS``: 50 records are left of a feed that retention cuts, far fewer than 1,000."""
    topic = AskedTopic(*map(record, range(100, 150)), begin=100, apart=int(days * DAY / 50))
    async with following(Rig(topic)) as rig:
        await rig.source.reached(Offset(150))
        assert rig.shown == list(range(150 - offered, 150))
        await topic.change(*topic.values, record(149, 150), begin=100)
        await rig.source.reached(Offset(151))
        assert rig.shown == [*range(150 - offered, 150), 150]


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (0, "The topic posts.feed does not exist yet."),
        (4, "The topic posts.feed has 4 partitions and needs exactly one."),
    ],
)
async def test_waits_for_a_topic_with_one_partition_and_says_so(count: int, sentence: str) -> None:
    """It never makes the topic; until there is one, nobody can say where the feed ends."""
    async with following(Rig(AskedTopic(count=count))) as rig:
        await until(lambda: rig.source.trouble != "Kafka was not reached yet.")
        assert rig.source.trouble == sentence
        assert await rig.source.end() is None


async def test_partitions_that_are_added_while_the_feed_is_followed_are_said() -> None:
    """What is written to them is shown to nobody; the first one is read on, and nothing of it is missed."""
    topic = AskedTopic(record(1))
    async with following(Rig(topic)) as rig:
        await until(lambda: rig.source.trouble is None)
        topic.count = 3
        await topic.change(*topic.values)
        await until(lambda: rig.source.trouble is not None)
        sentence = "The topic posts.feed has 3 partitions and needs exactly one."
        assert (rig.source.trouble, rig.source.unready) == (sentence, sentence)
        await topic.change(*topic.values, record(2))
        await rig.source.reached(Offset(2))
        assert (rig.source.trouble, rig.shown) == (sentence, [1, 2])
        # Kafka is lost and comes back with them, as after a restart of a broker.
        await topic.change(*topic.values, is_away=True)
        await until(lambda: rig.source.trouble == "Kafka does not answer.")
        await topic.change(*topic.values, record(3))
        await asyncio.wait_for(rig.source.reached(Offset(3)), 2)
        await until(lambda: rig.source.trouble != "Kafka does not answer.")
        assert (rig.source.trouble, rig.source.unready, rig.shown) == (sentence, sentence, [1, 2, 3])
        # It was deleted and made anew.
        topic.count = 1
        await topic.change(*topic.values)
        await until(lambda: rig.source.trouble is None)


async def test_a_connection_lost_before_the_first_record_is_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no newest record yet that could be read once more: reading begins where it was to begin."""
    topic, reads = AskedTopic(*map(record, range(50))), count()
    read = AskedReader.read

    async def failing_first(reader: AskedReader) -> Read:
        if next(reads) == 0:
            raise Unreachable("away")
        return await read(reader)

    monkeypatch.setattr(AskedReader, "read", failing_first)
    async with following(Rig(topic, history=2, reach=3)) as rig:
        await rig.source.reached(Offset(50))
        assert (rig.shown, rig.source.gaps, rig.source.reconnects) == ([48, 49], {}, 1)


async def test_goes_on_after_kafka_was_away() -> None:
    """The clients stay, nothing is read twice or missed, and it is said meanwhile."""
    topic = AskedTopic(record(1))
    async with following(Rig(topic)) as rig:
        await rig.source.reached(Offset(1))
        line = Line(rig.turns)
        rig.hub.join(Session(rig.log.head, PLAIN), line)
        await topic.change(record(1), is_away=True)
        await until(lambda: rig.source.trouble == "Kafka does not answer.")
        assert await rig.source.end() is None
        await topic.change(record(1), record(2))
        await rig.source.reached(Offset(2))
        assert (line.got, line.ends, rig.shown) == ([2], [], [1, 2])


async def test_after_each_outage_kafka_is_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses grow while it lasts, and begin anew with the next one. A topic that is lost is not asked any more."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noting(seconds: float) -> None:
        if seconds:
            pauses.append(seconds)
        await sleep(0)

    topic = AskedTopic(record(1))
    monkeypatch.setattr("edge.feed.follow.asyncio.sleep", noting)
    async with following(Rig(topic)) as rig:
        await rig.source.reached(Offset(1))
        for _ in range(2):
            await until(lambda: rig.source.trouble is None)
            pauses.clear()
            await topic.change(*topic.values, is_away=True)
            await until(lambda: len(pauses) > 2)
            assert pauses[:3] == [0.1, 0.2, 0.4]
            questions = topic.questions
            assert await rig.source.end() is None
            assert topic.questions == questions
            await topic.change(*topic.values)


async def test_a_topic_of_one_record_that_is_made_anew_is_one_gap() -> None:
    """What was known of the old one is forgotten with it: the feed goes on."""
    topic = AskedTopic(record(1))
    async with following(Rig(topic)) as rig:
        await until(lambda: rig.source.trouble is None)
        await topic.change(*topic.values, is_away=True)
        await until(lambda: rig.source.trouble is not None)
        await topic.change(record(2))
        await until(lambda: bool(rig.source.gaps))
        await until(lambda: rig.source.trouble is None)
        await topic.change(record(2), record(3))
        await until(lambda: rig.shown[-1:] == [3])
        assert rig.source.gaps == {"recreated": 1}


@pytest.mark.parametrize(("patience", "unready"), [(0, "Kafka does not answer."), (60, None)])
async def test_a_feed_that_was_followed_may_be_lost_for_a_while(patience: float, unready: str | None) -> None:
    """The trouble is said at once, and new clients are sent elsewhere when it has lasted; at the start, at once."""
    topic = AskedTopic(record(1))
    async with following(Rig(topic, patience=patience)) as rig:
        assert rig.source.unready == "Kafka was not reached yet."
        await rig.source.reached(Offset(1))
        await until(lambda: rig.source.unready is None)
        await topic.change(record(1), is_away=True)
        await until(lambda: rig.source.trouble == "Kafka does not answer.")
        assert rig.source.unready == unready
        await topic.change(record(1))
        await until(lambda: rig.source.trouble is None)
        assert rig.source.unready is None


class Garbled(AskedReader):
    """Has a batch that nobody can decode."""

    async def read(self) -> Read:
        """Fail, as the client does."""
        raise Unreadable("invalid block type")


async def test_a_batch_that_cannot_be_decoded_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended by it, every edge would be started again and again, and lose its clients each time."""
    topic = AskedTopic(record(1))
    monkeypatch.setattr(topic, "reader", lambda: Garbled(topic))
    async with following(Rig(topic)) as rig:
        await until(lambda: rig.source.trouble == "Kafka has sent a batch of the feed that cannot be decoded.")
        await until(lambda: rig.source.reconnects > 0)


async def _recreated_shorter(topic: AskedTopic) -> None:
    await topic.change(record(5))


async def _recreated_longer(topic: AskedTopic) -> None:
    await topic.change(*topic.values, is_away=True)
    await topic.change(*(record(n) for n in (50, 60, 70)), is_away=True)


async def _outrun_by_retention(topic: AskedTopic) -> None:
    await topic.change(record(5), begin=9)


@pytest.mark.parametrize("change", [_recreated_shorter, _recreated_longer, _outrun_by_retention])
async def test_a_gap_is_told_and_the_feed_goes_on(change: Callable[[AskedTopic], Awaitable[None]]) -> None:
    """Law 12: an offset out of range, or another record where the newest was, never passes in silence."""
    topic = AskedTopic(record(1), record(2))
    async with following(Rig(topic)) as rig:
        await rig.source.reached(Offset(2))
        line = Line(rig.turns)
        rig.hub.join(Session(Position(rig.log.head), CURSOR), line)
        await change(topic)
        if topic.is_away:
            await until(lambda: rig.source.trouble is not None)
            await topic.change(*topic.values)
        await until(lambda: bool(line.written))
        end = Offset(topic.end)
        await rig.source.reached(end)
        await topic.change(*topic.values, record(99), begin=topic.begin)
        await rig.source.reached(Offset(end + 1))
        told, post = messages(b"".join(line.written))
        assert told["payload"]["recovered"] is False
        assert post["payload"] == {"id": 99}


@pytest.mark.parametrize("at_once", [1, 100])
@pytest.mark.parametrize("hole", range(3, 13))
async def test_a_hole_is_said_and_the_feed_goes_on_behind_it(hole: int, at_once: int) -> None:
    """Law 13: wherever it is; below what is offered it is nothing. Nothing is read twice, and repeats stay known.

    The records 0 to 9 are there when the edge starts. It offers the last two, and reads the three before them.
    """
    posts = [[number] for number in range(12)] + [[9, 12], [13]]
    gone = range(hole, hole + 2)
    values = [None if offset in gone else record(*each) for offset, each in enumerate(posts)]
    topic = AskedTopic(*values[:10], at_once=at_once)
    with structlog.testing.capture_logs() as events:
        async with following(Rig(topic, history=2, reach=3)) as rig:
            await until(lambda: rig.source.trouble is None)
            assert rig.shown == ([9] if hole == 7 else [] if hole in {8, 9} else [8, 9])
            line = Line(rig.turns)
            rig.hub.join(Session(rig.log.head, CURSOR), line)
            await topic.change(*values)
            await rig.source.reached(Offset(len(values)))
            await until(lambda: rig.source.trouble is None)
            rig.turns.rest()
            heard = messages(b"".join(line.written))
            told = [message["payload"]["reason"] for message in heard if message["action"] == "welcome"]
            assert set(told) == ({"interrupted"} if hole >= 9 else set())
            assert len(told) <= 1 or at_once == 1
            shown = [number for offset in range(10, 14) if offset not in gone for number in posts[offset]]
            known = 9 not in gone
            assert [message["payload"]["id"] for message in heard if message["action"] == "created"] == [
                number for number in shown if number != 9 or not known
            ]
            assert rig.source.records == len([offset for offset in range(5, 14) if offset not in gone])
            assert (rig.source.unready, rig.source.lag) == (None, 0)
    named = [event["event"] for event in events if event["event"] in {"feed.hole", "feed.gap"}]
    assert set(named) == ({"feed.hole"} if hole >= 7 else set())


async def test_a_gap_among_records_that_came_together_is_the_end_of_that_read() -> None:
    """The first of them is another one than it was: what follows it is of that other topic, and not shown."""
    topic = AskedTopic(record(1), record(2), at_once=100)
    async with following(Rig(topic)) as rig:
        await rig.source.reached(Offset(2))
        await topic.change(*topic.values, is_away=True)
        await until(lambda: rig.source.trouble is not None)
        await topic.change(*(record(number) for number in (50, 60, 70)))
        await until(lambda: rig.source.trouble is None)
        assert rig.shown == []


async def test_a_feed_that_is_not_read_to_its_end_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """When that has lasted; and that it is again, at once. The lag is a number meanwhile."""
    monkeypatch.setattr(health, "_BEHIND_SECONDS", 0)
    topic = AskedTopic(record(0))
    async with following(Rig(topic, patience=60)) as rig:
        await until(lambda: rig.source.trouble is None)
        seen: list[tuple[str | None, int]] = []
        publish = rig.hub.publish

        def note(read_at: float | None = None) -> None:
            seen.append((rig.source.trouble, rig.source.lag))
            publish(read_at)

        rig.hub.publish = note  # type: ignore[method-assign]
        await topic.change(*(record(number) for number in range(5)))
        await rig.source.reached(Offset(5))
        await until(lambda: rig.source.trouble is None)
        # Each is what was known before the read that is noted.
        behind = "The feed has records that were not read yet."
        assert seen == [(None, 0), *((behind, lag) for lag in (3, 2, 1))]
        assert rig.source.lag == 0


async def test_how_long_the_feed_was_not_read_to_its_end_is_known() -> None:
    """From the last time that it was, also while Kafka is away; before the first time, from the start."""
    topic = AskedTopic(record(0))
    await topic.change(*topic.values, is_away=True)
    rig = Rig(topic)
    assert rig.source.lag_seconds == 0
    async with following(rig):
        await until(lambda: rig.source.lag_seconds > 0)
        await topic.change(*topic.values)
        await until(lambda: rig.source.trouble is None)
        assert rig.source.lag_seconds == 0
        await topic.change(*topic.values, is_away=True)
        await until(lambda: rig.source.trouble is not None)
        before = rig.source.lag_seconds
        assert 0 < before < 5
        await until(lambda: rig.source.lag_seconds > before)


async def test_gaps_and_reconnects_are_counted() -> None:
    """A hole is a gap, without a reconnect; a topic made anew is both; the first connection is none."""
    topic = AskedTopic(record(0))
    async with following(Rig(topic)) as rig:
        await until(lambda: rig.source.trouble is None)
        assert (rig.source.gaps, rig.source.reconnects) == ({}, 0)
        await topic.change(record(0), None, record(1))
        await rig.source.reached(Offset(3))
        assert (rig.source.gaps, rig.source.reconnects) == ({"interrupted": 1}, 0)
        await topic.change(*topic.values, is_away=True)
        await until(lambda: rig.source.trouble is not None)
        await topic.change(record(0), None, record(2))
        await until(lambda: rig.source.gaps["recreated"] == 1)
        await until(lambda: rig.source.trouble is None)
        assert rig.source.reconnects >= 1


async def test_an_answer_is_never_older_than_its_question() -> None:
    """Law 9: who comes while Kafka is being asked waits for the next answer, and shares it."""
    topic = AskedTopic()
    async with following(Rig(topic)) as rig:
        await until(lambda: rig.source.trouble is None)
        topic.may_answer.clear()
        early = asyncio.create_task(rig.source.end())
        await until(lambda: topic.questions == 1)
        await topic.change(record(1))
        late = [asyncio.create_task(rig.source.end()) for _ in range(50)]
        await asyncio.sleep(0)
        topic.may_answer.set()
        assert await early == 0
        assert await asyncio.gather(*late) == [1] * 50
        assert topic.questions == 2


async def test_who_gives_up_leaves_the_others_their_answer() -> None:
    """A client that goes away while it asks for all takes nobody's answer with it."""
    topic = AskedTopic(record(1))
    async with following(Rig(topic)) as rig:
        await until(lambda: rig.source.trouble is None)
        topic.may_answer.clear()
        asking = [asyncio.create_task(rig.source.end()) for _ in range(3)]
        await until(lambda: topic.questions == 1)
        asking[0].cancel()
        topic.may_answer.set()
        assert await asyncio.gather(*asking[1:]) == [1, 1]


@pytest.mark.parametrize("unseen", [1, None])
async def test_an_end_before_what_was_read_is_no_gap_until_it_is_confirmed(
    unseen: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law 13: the broker that was asked leads no more. The edge waits for one that does; nobody is told anything."""
    monkeypatch.setattr(follow, "_SHORTEST_PAUSE", 0)
    topic = AskedTopic(record(1), record(2))
    async with following(Rig(topic)) as rig:
        await until(lambda: rig.source.trouble is None)
        line = Line(rig.turns)
        rig.hub.join(Session(rig.log.head, CURSOR), line)
        topic.unseen = unseen
        await topic.change(record(1))
        await until(lambda: topic.confirmations > 0)
        await until(lambda: rig.source.trouble is not None)
        assert not line.written
        topic.unseen = 0
        await topic.change(record(1), record(2), record(3))
        await until(lambda: bool(line.written))
        assert ids(b"".join(line.written)) == [3]


async def test_a_feed_that_is_quiet_is_read_from_who_leads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader that is cut off from the others is silent, and looks well; who is just quiet is read on from."""
    monkeypatch.setattr(quiet, "SECONDS", 0)
    monkeypatch.setattr(quiet, "_READ_SECONDS", 0)
    monkeypatch.setattr(ends, "_CONFIRM_SECONDS", 0)
    monkeypatch.setattr(follow, "_SHORTEST_PAUSE", 0)
    topic = AskedTopic(record(1))
    async with following(Rig(topic)) as rig:
        await until(lambda: rig.source.trouble is None)
        while topic.confirmations < 3:
            await topic.change(record(1))
            await asyncio.sleep(0)
        assert (rig.source.trouble, topic.connections) == (None, 1)
        topic.unseen = 1
        while rig.source.trouble is None:
            await topic.change(record(1))
            await asyncio.sleep(0)
        # As long as it comes back to the deposed one.
        await until(lambda: topic.connections > 3)
        assert rig.source.trouble is not None
        topic.unseen = 0
        await topic.change(record(1), record(2))
        await rig.source.reached(Offset(2))
        assert rig.shown == [1, 2]


async def test_nobody_confirms_anything_while_the_brokers_disagree_or_are_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor before Kafka was reached."""
    monkeypatch.setattr(ends, "_CONFIRM_SECONDS", 0)
    topic = AskedTopic(record(1))
    topic.is_away = True
    async with following(Rig(topic)) as rig:
        assert await rig.source.confirmed_end() is None
        topic.is_away = False
        await until(lambda: rig.source.trouble is None)
        assert await rig.source.confirmed_end() == 1
        topic.unseen = None
        assert await rig.source.confirmed_end() is None


async def test_one_confirmation_at_a_time_is_for_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can make up a cursor."""
    monkeypatch.setattr(ends, "_CONFIRM_SECONDS", 3600.0)
    topic = AskedTopic(record(1))
    async with following(Rig(topic)) as rig:
        await until(lambda: rig.source.trouble is None)
        assert await rig.source.confirmed_end() == 1
        waiting = [asyncio.create_task(rig.source.confirmed_end()) for _ in range(1000)]
        for _ in range(100):
            await asyncio.sleep(0)
        assert topic.confirmations == 1
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
