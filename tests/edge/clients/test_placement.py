"""Where a client starts, by a feed's end that is told by hand."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest

from edge.clients.joining import JoinRequest
from edge.clients.placement import Placement
from edge.feed.log import Log
from edge.feed.position import Cursor, before
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Offset
from tests.edge.kit.reading import take
from tests.edge.kit.records import at, cursor, log_of, messages, record, standing


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


async def told(feed: End, cursor: Cursor | None = None) -> tuple[object, list[str]] | None:
    """Place a client with cursors; return the payload of its welcome, and what was asked."""
    session = await Placement(feed.log, feed, 0.01, 25, Counter()).session(JoinRequest(CURSOR, cursor=cursor))
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


@pytest.mark.parametrize("end", [None, 2])
async def test_nobody_is_placed_when_the_end_is_not_known_or_not_read_in_time(end: int | None) -> None:
    """The client is refused, and may come again."""
    assert await told(End(log_of(record(1)), end)) is None


async def test_every_session_has_an_id_of_its_own() -> None:
    """A plain one, too: the log knows it by that."""
    feed = End(log_of(record(1)), 1)
    placement = Placement(feed.log, feed, 1, 25, Counter())
    sessions = [await placement.session(JoinRequest()) for _ in range(2)]
    assert len({session.id for session in sessions if session is not None and len(session.id) == 16}) == 2
