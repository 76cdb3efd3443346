"""Replays of a topic in memory, to clients of a hub."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from edge.clients.joining import JoinRequest, Terms, resumed
from edge.fanout.ending import End
from edge.fanout.member import Member
from edge.feed import beginnings
from edge.feed.log import Log
from edge.feed.position import Cursor, Gap, Position, Reason, Resume
from edge.feed.repeats import DAY
from edge.feed.replay import Replay
from edge.feed.replaying import Limits, Place, Replays
from edge.feed.seats import Seat
from edge.feed.topic import Read, Unreachable
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Offset
from tests.edge.kit.lines import NEVER, Line, Turns, hub_of
from tests.edge.kit.memory import AskedReader, AskedTopic
from tests.edge.kit.records import cursor, messages, publication, record

MIB = 1 << 20
RECORDS = 200
REACH = 10


def value(number: int, length: int = 0) -> bytes:
    """Make a record of one post, which repeats the one before it."""
    return record(publication(number, text="x" * length), *([number - 1] if number else []))


class OldTopic(AskedTopic):
    """A topic in memory, which counts what was read; ``failure`` comes of the next read."""

    def __init__(self, *values: bytes | None) -> None:
        super().__init__(*values, at_once=8)
        self.failure: Exception | None = None
        self.read_records = self.attempts = self.closed = 0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["OldReader"]:
        """Connect to it, for one replay."""
        self.attempts += 1
        self.check()
        self.connections += 1
        try:
            yield OldReader(self)
        finally:
            self.closed += 1


class OldReader(AskedReader):
    """The connection of one replay."""

    def __init__(self, topic: OldTopic) -> None:
        super().__init__(topic)
        self.old = topic

    async def read(self) -> Read:
        """Read on."""
        failure, self.old.failure = self.old.failure, None
        if failure is not None:
            raise failure
        read = await super().read()
        self.old.read_records += len(read.records)
        return read


class Rig:
    """A topic, a log that has its newest records, and a hub."""

    def __init__(self, *, length: int = 0, limits: Limits | None = None, records: int = RECORDS) -> None:
        self.values = [value(number, length) for number in range(records)]
        self.topic = OldTopic(*self.values)
        self.log = Log(limit=MIB, reach=REACH)
        self.log.begin(Offset(records - 20), Offset(records - 10))
        for number in range(records - 20, records):
            self.log.append(Offset(number), self.values[number])
        self.turns = Turns()
        self.hub = hub_of(self.log, self.turns, 1 << 16, NEVER)
        self.replays: Replays[Member] = Replays(
            self.topic.connect,
            self.log,
            self.hub,
            reach=REACH,
            age=DAY,
            limits=limits or Limits(2, 2, 8 * MIB),
        )

    def cursor(self, number: int) -> Cursor:
        """Make the cursor behind the post of a record."""
        return cursor(number, 2 if number else 1, self.values[number])

    async def come(self, number: int, address: str = "a", room: float = float("inf")) -> Line:
        """Have a client come that has seen the post of a record, and everything before it."""
        async with self.replays.at(self.cursor(number), address) as place:
            assert isinstance(place, Place)
            terms = Terms("a session", 25)
            session = resumed(JoinRequest(CURSOR), self.log, Resume(place.position), terms, place.log)
            session.progress.replay = place.replay
            line = Line(self.turns, room)
            self.hub.join(session, line)
        return line

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let both loops turn until it is so."""
        while not condition():
            self.turns.rest()
            await asyncio.sleep(0.001)

    def grow(self, count: int) -> None:
        """Write records that the log reads at once."""
        for _ in range(count):
            self.values.append(value(len(self.values)))
            self.topic.grow(self.values[-1])
            self.log.append(Offset(len(self.values) - 1), self.values[-1])
        self.replays.publish()


def got(line: Line) -> list[int]:
    """Name the posts that a client was sent behind its welcome."""
    first, *posts = messages(b"".join(line.written))
    assert first["action"] == "welcome"
    assert first["payload"]["recovered"] is True
    return [message["payload"]["id"] for message in posts if message["action"] == "created"]


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[Rig]:
    """Run replays meanwhile; nothing is left of them at the end."""
    task = asyncio.create_task(rig.replays.run())
    try:
        async with asyncio.timeout(60):
            yield rig
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert rig.topic.closed == rig.topic.connections
    assert (len(rig.replays), rig.replays.readers) == (0, 0)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have everything that takes seconds take moments."""
    monkeypatch.setattr("edge.feed.replay.LINGER_SECONDS", 0.05)
    monkeypatch.setattr("edge.feed.replay.HELD_SECONDS", 0.1)
    monkeypatch.setattr("edge.feed.replay_run._LOOK_SECONDS", 0.01)


@pytest.mark.usefixtures("soon")
async def test_what_the_log_has_no_more_is_replayed_and_joins_it_without_a_seam() -> None:
    """In order and once; then the client is one of the log's, and the replay is over."""
    async with running(Rig()) as rig:
        line = await rig.come(20)
        await rig.until(lambda: len(rig.replays) == 0)
        rig.grow(3)
        await rig.until(lambda: not rig.hub.lagging)
        assert got(line) == list(range(21, RECORDS + 3))
        said = messages(b"".join(line.written))
        # It has caught up once it has passed the end as it was when it came.
        [caught_up] = [number for number, message in enumerate(said) if message["action"] == "caught_up"]
        assert said[caught_up - 1]["payload"]["id"] >= RECORDS - 1
        assert said[0]["payload"]["behind"] == RECORDS - 21
        # It begins no further back than repeats, and what is about the same place, take.
        assert rig.topic.read_records <= RECORDS
        assert (rig.replays.begun, rig.replays.records) == (1, rig.topic.read_records)


@pytest.mark.usefixtures("soon")
async def test_readers_at_about_the_same_place_share_one_consumer() -> None:
    """What is read and decoded is so once for all; also for one that comes while the others read."""
    async with running(Rig()) as rig:
        lines = await asyncio.gather(*(rig.come(100 + number % 7) for number in range(30)))
        lines.append(await rig.come(104))
        await rig.until(lambda: len(rig.replays) == 0)
        assert [got(line)[-1] for line in lines] == [RECORDS - 1] * 31
        assert [len(got(line)) for line in lines[:7]] == [RECORDS - 101 - number for number in range(7)]
        assert (rig.topic.connections, rig.replays.begun) == (1, 1)
        assert rig.topic.read_records <= RECORDS


@pytest.mark.usefixtures("soon")
async def test_replays_are_bounded_and_by_address_too() -> None:
    """One that nobody reads any more makes room for another."""
    async with running(Rig(length=20_000, limits=Limits(2, 1, 8 * MIB))) as rig:
        async with rig.replays.at(rig.cursor(20), "a") as first:
            assert isinstance(first, Place)
            async with rig.replays.at(rig.cursor(120), "a") as refused:
                assert refused == "address"
            async with rig.replays.at(rig.cursor(120), "b") as second:
                assert isinstance(second, Place)
                assert rig.replays.readers == 2
                async with rig.replays.at(rig.cursor(70), "c") as refused:
                    assert refused == "replays"
                async with rig.replays.at(rig.cursor(25), "c") as shared:
                    assert isinstance(shared, Place)
                    assert shared.replay is first.replay
            async with rig.replays.at(rig.cursor(70), "c") as third:
                assert isinstance(third, Place)
            assert second.replay.is_over
            # Of one address, too.
            async with rig.replays.at(rig.cursor(120), "c") as fourth:
                assert isinstance(fourth, Place)
            assert third.replay.is_over
        assert rig.replays.refused == {"address": 1, "replays": 1}


@pytest.mark.usefixtures("soon")
async def test_one_that_nobody_reads_ends_for_another_of_its_address_though_there_may_be_more() -> None:
    async with running(Rig(length=20_000, limits=Limits(3, 1, 12 * MIB))) as rig:
        async with rig.replays.at(rig.cursor(20), "a") as first:
            assert isinstance(first, Place)
        async with rig.replays.at(rig.cursor(120), "a") as second:
            assert isinstance(second, Place)
            assert first.replay.is_over


@pytest.mark.usefixtures("soon")
async def test_who_asks_for_one_place_after_the_other_is_bounded_although_none_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Law 16: each costs Kafka a consumer, and ends one that others may come back to. Others have their own share."""
    async with running(Rig(length=20_000, limits=Limits(2, 1, 8 * MIB))) as rig:
        found = []
        for number in (20, 80, 130, 170, 120, 150):
            async with rig.replays.at(rig.cursor(number), "a") as place:
                found.append(place if isinstance(place, str) else "begun")
            await rig.until(lambda: not any(replay.seats for replay in rig.replays._running))  # noqa: SLF001
        assert found == ["begun", "begun", "address", "address", "address", "address"]
        async with rig.replays.at(rig.cursor(100), "b") as place:
            assert isinstance(place, Place)
        assert (rig.replays.begun, rig.topic.attempts) == (3, 3)
        monkeypatch.setattr(beginnings, "SECONDS", 0.0)
        async with rig.replays.at(rig.cursor(140), "a") as place:
            assert isinstance(place, Place)


@pytest.mark.usefixtures("soon")
async def test_replays_are_bounded_in_bytes() -> None:
    """What is in them counts, the table of repeats too."""
    rig = Rig(limits=Limits(2, 2, 4 * MIB))
    rig.values = [record(*range(1000 * number, 1000 * number + 1000)) for number in range(RECORDS)]
    rig.topic.become(*rig.values)
    async with running(rig), rig.replays.at(cursor(100, 1000, rig.values[100]), "a") as place:
        assert isinstance(place, Place)
        await place.read_to(Offset(110))
        assert rig.replays.size > MIB
        async with rig.replays.at(cursor(40, 1000, rig.values[40]), "b") as refused:
            assert refused == "bytes"


@pytest.mark.usefixtures("soon")
async def test_who_waits_for_a_place_and_goes_leaves_nothing() -> None:
    """It holds nothing, and the replay is over when nobody else is there."""
    async with running(Rig()) as rig:
        rig.topic.is_away = True
        waiting = asyncio.create_task(rig.come(20))
        await rig.until(lambda: rig.topic.attempts > 0)
        assert rig.replays.readers == 1
        waiting.cancel()
        await asyncio.wait([waiting])
        assert rig.replays.readers == 0
        rig.topic.is_away = False
        await rig.until(lambda: len(rig.replays) == 0)


@pytest.mark.usefixtures("soon")
async def test_a_replay_goes_on_after_kafka_was_away() -> None:
    """Its clients stay, and miss nothing."""
    async with running(Rig()) as rig:
        coming = asyncio.create_task(rig.come(20))
        await rig.until(lambda: rig.topic.read_records > 8)
        rig.topic.failure = Unreachable("away")
        line = await coming
        await rig.until(lambda: len(rig.replays) == 0)
        assert rig.topic.connections == 2
        assert got(line) == list(range(21, RECORDS))


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("failure", [None, Unreachable("away")], ids=["found by reading", "found after Kafka was away"])
async def test_what_retention_has_removed_is_told(failure: Exception | None) -> None:
    """At once where the cursor is before it; where it comes while the client reads, that goes on at the head."""
    async with running(Rig(length=20_000, limits=Limits(1, 1, 4 * MIB))) as rig:
        line = await rig.come(60, room=0)
        rig.topic.remove_before(195)
        async with rig.replays.at(rig.cursor(20), "b") as place:
            assert place == "replays"
        rig.topic.failure = failure
        line.drain()
        await rig.until(lambda: len(rig.replays) == 0)
        rig.grow(1)
        await rig.until(lambda: not rig.hub.lagging)
        said = messages(b"".join(line.written))
        [welcome] = [message for message in said[1:] if message["action"] == "welcome"]
        assert (welcome["payload"]["recovered"], welcome["payload"]["reason"]) == (False, "expired")
        assert [said[-1]["payload"]["id"], said[-2]] == [RECORDS, welcome]
        async with rig.replays.at(rig.cursor(20), "b") as place:
            assert place == Gap("expired")


@pytest.mark.usefixtures("soon")
async def test_a_feed_made_anew_is_told_to_the_readers_of_a_replay() -> None:
    """The newest record that was read is another one."""
    async with running(Rig(length=20_000, limits=Limits(1, 1, 4 * MIB))) as rig:
        line = await rig.come(60, room=0)
        rig.topic.become(*(value(number + 1000) for number in range(RECORDS)))
        rig.topic.failure = Unreachable("away")
        line.drain()
        await rig.until(lambda: len(rig.replays) == 0)
        await rig.until(lambda: not rig.hub.lagging)
        welcome = messages(b"".join(line.written))[-1]
        assert (welcome["action"], welcome["payload"]["reason"]) == ("welcome", "recreated")


@pytest.mark.usefixtures("soon")
async def test_an_interrupted_feed_ends_all_replays() -> None:
    """Their clients go on behind the gap with all others, and who waits for a place is to come again."""
    async with running(Rig(length=20_000)) as rig:
        line = await rig.come(60, room=0)
        rig.topic.is_away = True
        waiting = asyncio.create_task(anext_of(rig, 150))
        await rig.until(lambda: rig.topic.attempts == 2)
        rig.log.begin(Offset(500), Offset(500))
        rig.replays.interrupt("interrupted")
        assert rig.replays.readers == 0
        line.drain()
        await rig.until(lambda: len(rig.replays) == 0)
        assert await waiting is None
        await rig.until(lambda: not rig.hub.lagging)
        assert messages(b"".join(line.written))[-1]["payload"]["reason"] == "interrupted"


@pytest.mark.usefixtures("soon")
async def test_missing_records_before_a_cursor_are_no_gap() -> None:
    """However near they are: a replay begins some records before its cursor."""
    async with running(Rig(records=300)) as rig:
        rig.topic.become(*rig.values[:80], None, *rig.values[81:])
        line = await rig.come(81)
        await rig.until(lambda: len(rig.replays) == 0)
        await rig.until(lambda: not rig.hub.lagging)
        assert got(line) == list(range(82, 300))


@pytest.mark.usefixtures("soon")
async def test_who_stands_behind_missing_records_is_to_come_again_where_others_are_told_of_them() -> None:
    """Then there is a replay that begins behind them."""
    async with running(Rig()) as rig:
        rig.topic.become(*rig.values[:100], None, *rig.values[101:])
        before_it, behind_it = await asyncio.gather(anext_of(rig, 98), anext_of(rig, 102))
        assert (before_it, behind_it) == (Gap("interrupted"), None)
        assert isinstance(await anext_of(rig, 102), Place)


async def anext_of(rig: Rig, number: int) -> object:
    """Wait for a place."""
    async with rig.replays.at(rig.cursor(number), "b") as place:
        return place


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("reason", ["interrupted", None])
async def test_nobody_is_let_into_a_replay_that_has_ended_since_its_place_was_found(
    monkeypatch: pytest.MonkeyPatch, reason: Reason | None
) -> None:
    """Whether the feed was interrupted, or the replay has come upon a gap: nobody would send it anything."""
    places: list[Position | Gap] = []
    find = Replay.place

    def place(replay: Replay[Member], seat: Seat) -> Position | Gap:
        places.append(find(replay, seat))
        return places[-1]

    async with running(Rig()) as rig:
        monkeypatch.setattr(Replay, "place", place)
        if reason is None:
            # Right behind the cursor is a hole.
            rig.topic.become(*rig.values[:101], None, *rig.values[102:])
            assert await anext_of(rig, 100) == Gap("interrupted")
        else:
            coming = asyncio.create_task(anext_of(rig, 100))
            while not places:
                await asyncio.sleep(0)
            rig.replays.interrupt(reason)
            assert await coming is None
        assert isinstance(places[0], int)


@pytest.mark.usefixtures("soon")
async def test_others_do_not_wait_for_a_slow_one_for_ever() -> None:
    """It is told that it was too slow, and comes back by its cursor, to a replay of its own."""
    async with running(Rig(length=20_000, limits=Limits(2, 2, 4 * MIB))) as rig:
        slow, *lines = await asyncio.gather(
            rig.come(60, room=0), *(rig.come(60, address=str(number)) for number in range(20))
        )
        await rig.until(lambda: bool(slow.ends))
        await rig.until(lambda: not rig.hub.lagging)
        assert [got(line) for line in lines] == [list(range(61, RECORDS))] * 20
        assert (slow.ends, rig.replays.left_behind) == ([End.FELL_BEHIND], 1)
        again = await rig.come(60)
        await rig.until(lambda: not rig.hub.lagging)
        assert got(again) == list(range(61, RECORDS))


@pytest.mark.usefixtures("soon")
async def test_a_fault_in_one_replay_is_no_fault_of_the_edge() -> None:
    """It is logged, and its readers come back."""
    async with running(Rig(length=20_000, limits=Limits(1, 1, 4 * MIB))) as rig:
        line = await rig.come(60, room=0)
        rig.topic.failure = RuntimeError("a fault")
        with capture_logs() as logs:
            line.drain()
            await rig.until(lambda: len(rig.replays) == 0)
            await rig.until(lambda: bool(line.ends))
        assert line.ends == [End.FELL_BEHIND]
        assert "replay.failed" in [entry["event"] for entry in logs]


@pytest.mark.usefixtures("soon")
async def test_a_page_is_read_as_far_as_there_is_something_and_room_for_it() -> None:
    """And no further than that."""
    async with running(Rig(length=20_000, limits=Limits(1, 1, 4 * MIB))) as rig:
        async with rig.replays.at(rig.cursor(100), "a") as place:
            assert isinstance(place, Place)
            await place.read_to(Offset(110))
            assert 110 <= (place.log.next_offset or 0) < 140
            await place.read_to(Offset(1000))
            assert place.log.next_offset is not None
            assert 120 < place.log.next_offset < RECORDS
        async with rig.replays.at(rig.cursor(180), "a") as place:
            assert isinstance(place, Place)
            await place.read_to(Offset(1000))
            assert place.log.next_offset == RECORDS
