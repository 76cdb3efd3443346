"""Which stored positions are none of this feed's."""

import pytest

from edge.feed.foreign import foreign
from edge.feed.log import Log
from edge.feed.position import Cursor, before, position_of
from streams.contract import Offset
from tests.edge.kit.edge import MemoryFeed
from tests.edge.kit.records import cursor, log_of, record

FORGOTTEN, HERE, ELSEWHERE = str(cursor(0, 1, record(1))), str(cursor(2, 1, record(3))), str(cursor(3, 1, record(4)))
ANOTHER, BEYOND = (str(Cursor(position_of(Offset(offset), 1), b"another.")) for offset in (2, 7))
ALL = [FORGOTTEN, HERE, ELSEWHERE, ANOTHER, BEYOND, "what?", str(before(Offset(9)))]


class Nobody:
    """A hub without clients."""

    def publish(self, read_at: float | None = None) -> None:
        """Reach nobody."""

    def interrupt(self, reason: object) -> None:
        """Reach nobody."""


def _feed(log: Log) -> MemoryFeed:
    """Return a feed whose fourth record this edge has not read."""
    feed = MemoryFeed(log, Nobody())
    feed.pending.append(record(4))
    return feed


def _log() -> Log:
    log = log_of(record(1), record(2), record(3))
    log.kept.forget(log.position_at(Offset(1)))
    return log


async def test_a_position_is_foreign_that_has_another_record_or_lies_beyond_the_feed_s_end() -> None:
    """One that another edge has given is not, although this one has not read so far; nor one that is forgotten."""
    log = _log()
    assert await foreign(ALL, log, _feed(log)) == {ANOTHER, BEYOND, "what?", str(before(Offset(9)))}


async def test_nobody_is_asked_for_what_the_log_has() -> None:
    log = _log()
    feed = _feed(log)
    assert await foreign([HERE], log, feed) == set()
    assert not feed.asked.is_set()


@pytest.mark.parametrize("how", ["trouble", "confirms"])
async def test_nothing_is_foreign_while_nobody_says_where_the_feed_ends(how: str) -> None:
    log = _log()
    feed = _feed(log)
    setattr(feed, how, "away" if how == "trouble" else False)
    assert await foreign(ALL, log, feed) == set()


async def test_a_broker_that_was_deposed_is_not_believed() -> None:
    """The feed goes on beyond the end that it knows."""
    log = _log()
    feed = _feed(log)
    feed.unseen = 5
    assert await foreign([BEYOND, str(before(Offset(9)))], log, feed) == set()
