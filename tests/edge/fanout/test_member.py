"""What the hub knows of a client, and of a gap."""

import math

from edge.fanout.member import Gap, Member
from edge.fanout.session import Session
from edge.feed.position import Position
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import Offset
from tests.edge.fanout.test_watch import Keeper
from tests.edge.kit.lines import Line, Turns
from tests.edge.kit.records import log_of, record


def test_a_gap_can_be_told_once_the_log_shows_what_comes() -> None:
    """From then on its position is final."""
    log = log_of(record(1))
    log.begin(Offset(5), Offset(6))
    gap = Gap(log.head, "interrupted")
    assert not gap.can_be_told(log)
    log.append(Offset(5), record(5))
    assert gap.can_be_told(log)
    position = gap.position
    log.append(Offset(6), record(6))
    assert gap.can_be_told(log)
    assert gap.position == position == log.start


def test_only_a_client_with_cursors_gets_heartbeats() -> None:
    """It has been told nothing since it came."""
    turns = Turns()
    plain, knowing = (
        Member(Keeper(), Session(Position(0), encoding), Line(turns), None, 7.0) for encoding in (PLAIN, CURSOR)
    )
    assert (plain.told_at, knowing.told_at) == (math.inf, 7.0)
