"""Where a client starts, by a feed's end that is told by hand."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from edge.clients.joining import JoinRequest
from edge.clients.placement import Placement
from edge.fanout.member import Member
from edge.fanout.session import Session
from edge.feed.joins import Back, never
from edge.feed.log import Log
from edge.feed.position import Cursor, before
from edge.feed.replay import Replay
from edge.feed.replaying import Bound, Place
from edge.feed.seats import Seat
from edge.feed.selection import Selection
from edge.wire.handshake import Rejected
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Offset
from tests.edge.kit.old import Gone
from tests.edge.kit.reading import take
from tests.edge.kit.records import at, cursor, log_of, messages, publication, record, standing


@dataclass
class End:
    """What is told of the feed's end, and records that are read when somebody waits for them."""

    log: Log
    told: int | None
    confirmed: int | None = None
    pending: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def end(self) -> Offset | None:
        """Tell it."""
        self.asked.append("end")
        return None if self.told is None else Offset(self.told)

    async def confirmed_end(self) -> Offset | None:
        """Tell what a majority says."""
        self.asked.append("confirmed")
        return None if self.confirmed is None else Offset(self.confirmed)

    async def reached(self, offset: Offset) -> None:
        """Read what is pending, and wait for ever for what is not."""
        assert self.log.next_offset is not None
        while self.log.next_offset < offset:
            await asyncio.sleep(0 if self.pending else 60)
            self.log.append(self.log.next_offset, self.pending.pop(0))


async def told(feed: End, cursor: Cursor | None = None, old: Gone | None = None) -> tuple[object, list[str]] | None:
    """Place a client with cursors; return the payload of its welcome, and what was asked."""
    old, resumes = Gone() if old is None else old, Counter[str]()
    placement = Placement(feed.log, feed, old, seconds=0.01, heartbeat=25, resumes=resumes)
    session = await placement.session(JoinRequest(CURSOR, cursor=cursor), "a")
    assert not isinstance(session, Rejected)
    assert sum(resumes.values()) == (session is not None and cursor is not None)
    if session is None:
        return None
    payload = messages(take(session, feed.log, 1))[0]["payload"]
    assert (payload["session"], payload["heartbeat"]) == (session.id, 25)
    return standing(payload), feed.asked


async def test_a_cursor_that_the_log_knows_asks_nobody() -> None:
    """Kafka may be away."""
    seen = cursor(0, 1, record(1))
    assert await told(End(log_of(record(1), record(2)), None), seen) == ({"recovered": True, "cursor": str(seen)}, [])


async def test_a_client_without_a_cursor_starts_at_the_feeds_end() -> None:
    """As soon as the log has read up to there."""
    feed = End(log_of(record(1)), 3, pending=[record(2), record(3)])
    end = str(cursor(2, 1, record(3)))
    assert await told(feed) == ({"recovered": True, "cursor": end}, ["end"])
    assert feed.log.head == at(2, 1)


async def test_a_cursor_ahead_of_the_log_is_waited_for() -> None:
    """Another edge was quicker."""
    seen = cursor(1, 1, record(2))
    feed = End(log_of(record(1)), 2, pending=[record(2)])
    assert await told(feed, seen) == ({"recovered": True, "cursor": str(seen)}, ["end"])


async def test_a_cursor_beyond_the_end_is_unknown_when_a_majority_says_so() -> None:
    """One broker may have been deposed."""
    log = log_of(record(1))
    payload = {"recovered": False, "reason": "unknown", "cursor": str(cursor(0, 1, record(1)))}
    assert await told(End(log, 1, confirmed=1), before(Offset(9))) == (payload, ["end", "confirmed"])
    assert await told(End(log, 1, confirmed=None), before(Offset(9))) is None
    seen = cursor(1, 1, record(2))
    feed = End(log, 1, confirmed=2, pending=[record(2)])
    assert await told(feed, seen) == ({"recovered": True, "cursor": str(seen)}, ["end", "confirmed"])


class Anew(End):
    """A feed that is made anew, and shorter, while Kafka is asked where it ends."""

    async def end(self) -> Offset | None:
        """Have it happen first."""
        self.log.begin(Offset(0), Offset(0))
        self.log.append(Offset(0), record(101))
        return await super().end()


async def test_a_cursor_beyond_a_feed_that_was_made_anew_meanwhile_is_unknown() -> None:
    """The log knew that it is another feed's before it began anew: the client is not told that it has everything."""
    feed = Anew(log_of(*map(record, range(1, 6))), 1)
    payload = {"recovered": False, "reason": "unknown", "cursor": str(cursor(0, 1, record(101)))}
    assert await told(feed, cursor(3, 1, b"another")) == (payload, ["end"])


@pytest.mark.parametrize("end", [None, 2])
async def test_nobody_is_placed_when_the_end_is_not_known_or_not_read_in_time(end: int | None) -> None:
    """The client is refused, and may come again."""
    assert await told(End(log_of(record(1)), end)) is None


async def test_a_cursor_before_the_log_starts_in_a_replay() -> None:
    """Kafka is not asked where the feed ends, and the client is of the replay, where the log has no more."""
    replay: Replay[Member] = Replay(log_of(record(1), record(2)), first=Offset(0), reach=10, address="a")
    feed, seen = End(log_of(record(3), first=2), None), cursor(0, 1, record(1))
    old = Gone(Place(replay, at(0, 1), Seat(seen), lambda *_: asyncio.sleep(0)))
    resumes: Counter[str] = Counter()
    placement = Placement(feed.log, feed, old, seconds=0.01, heartbeat=25, resumes=resumes)
    session = await placement.session(JoinRequest(CURSOR, cursor=seen), "a")
    assert isinstance(session, Session)
    assert (session.replay, old.asked, resumes) == (replay, [(seen, "a")], {"replayed": 1})
    assert session.progress.target == feed.log.head
    [welcome, post] = messages(take(session, replay.log, 1))
    assert (welcome["payload"]["recovered"], welcome["payload"]["behind"]) == (True, 2)
    assert (welcome["payload"]["cursor"], post["payload"]["id"]) == (str(seen), 2)


@pytest.mark.parametrize("bound", ["replays", "bytes", "address"])
async def test_a_client_that_there_is_no_replay_for_is_told_when_to_come_back(bound: Bound) -> None:
    """Between 2 and 10 s later, by chance."""
    feed, old = End(log_of(record(3), first=2), None), Gone(bound)
    resumes: Counter[str] = Counter()
    placement = Placement(feed.log, feed, old, seconds=1, heartbeat=25, resumes=resumes, share=lambda: 0.5)
    refused = await placement.session(JoinRequest(CURSOR, cursor=cursor(0, 1, record(1))), "a")
    assert isinstance(refused, Rejected)
    assert (refused.status, refused.retry_after, resumes) == (503, 6.0, {"refused": 1})


async def test_what_is_gone_from_kafka_too_has_expired() -> None:
    """The client goes on at the feed's end."""
    feed = End(log_of(record(3), first=2), 3)
    payload = {"recovered": False, "reason": "expired", "cursor": str(cursor(2, 1, record(3)))}
    assert await told(feed, cursor(0, 1, record(1))) == (payload, ["end"])
    assert await told(End(log_of(record(3), first=2), None), cursor(0, 1, record(1))) is None


class Counting(Log):
    """A log that counts how often it is looked back in."""

    looks = 0

    def look_back(self, start: Back, selection: Selection, is_late: Callable[[], bool] = never) -> Back:
        """Count it."""
        self.looks += 1
        return super().look_back(start, selection, is_late)


async def test_histories_with_filters_begin_one_after_the_other() -> None:
    """Law 12: hundreds of clients wait for the same answer of Kafka's. Each gets its own all the same."""
    log = Counting(limit=1 << 20, reach=1000)
    log.begin(Offset(0), Offset(0))
    for number in range(9):
        log.append(Offset(number), record(publication(number, author=number % 3)))
    placement = Placement(log, End(log, 9), Gone(), seconds=60, heartbeat=25, resumes=Counter())
    asked = [JoinRequest(CURSOR, history=2, selection=Selection([number % 3])) for number in range(30)]
    joining = asyncio.gather(*(placement.session(each, "a") for each in asked))
    most, before = 0, 0
    while not joining.done():
        await asyncio.sleep(0)
        most, before = max(most, log.looks - before), log.looks
    assert (most, before >= 30) == (1, True)
    for number, session in enumerate(await joining):
        assert isinstance(session, Session)
        welcome, *posts = messages(take(session, log, 1 << 16))
        assert welcome["action"] == "welcome"
        assert [post["payload"]["id"] for post in posts] == [3 + number % 3, 6 + number % 3]


async def test_no_replay_is_begun_while_the_log_shows_nothing() -> None:
    """What it has is known when it has read up to the end: here the cursor is in it."""
    log = Log(limit=1 << 20, reach=2)
    log.begin(Offset(0), Offset(1))
    feed, old, seen = End(log, 2, pending=[record(1), record(2)]), Gone(), cursor(0, 1, record(1))
    assert await told(feed, seen, old) == ({"recovered": True, "cursor": str(seen)}, ["end"])
    assert old.asked == []


async def test_a_feed_that_is_interrupted_meanwhile_refuses_for_now() -> None:
    """The replay was begun before the gap."""
    assert await told(End(log_of(record(3), first=2), 3), cursor(0, 1, record(1)), Gone(None)) is None


async def test_every_session_has_an_id_of_its_own() -> None:
    """A plain one, too: the log knows it by that."""
    feed = End(log_of(record(1)), 1)
    placement = Placement(feed.log, feed, Gone(), seconds=1, heartbeat=25, resumes=Counter())
    sessions = [await placement.session(JoinRequest(), "") for _ in range(2)]
    assert len({session.id for session in sessions if isinstance(session, Session) and len(session.id) == 16}) == 2
