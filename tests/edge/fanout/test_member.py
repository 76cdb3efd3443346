"""What the hub knows of a client, and of a gap."""

import math

from edge.fanout.member import MOST_OWED, Gap, Member
from edge.fanout.session import Session
from edge.feed.position import Position
from edge.wire.frames import text_frame
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import Offset
from tests.edge.fanout.test_watch import Keeper
from tests.edge.kit.lines import Line, Turns
from tests.edge.kit.records import GREETING, log_of, record


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


def test_what_is_for_one_client_waits_for_its_greeting_and_its_socket() -> None:
    """And goes out in one write then, in order; too much of it is said to be too much."""
    turns = Turns()
    line = Line(turns)
    member = Member(Keeper(), Session(Position(0), CURSOR, GREETING), line, None, turns.now)
    assert member.tell(text_frame(b"1"))
    member.session.progress.greeting = b""
    line.unsent_since = turns.now
    assert member.tell(text_frame(b"2"))
    assert line.written == []
    line.unsent_since = None
    member.tell_owed()
    assert line.written == [text_frame(b"1") + text_frame(b"2")]
    member.tell(text_frame(b"3"))
    assert line.written[1:] == [text_frame(b"3")]
    line.unsent_since = turns.now
    assert [member.tell(b"x") for _ in range(MOST_OWED + 1)] == [True] * MOST_OWED + [False]


def test_a_client_whose_session_is_over_is_told_nothing() -> None:
    turns = Turns()
    line = Line(turns)
    member = Member(Keeper(), Session(Position(0), CURSOR, GREETING), line, None, turns.now)
    member.tell(b"x")
    member.is_over = True
    member.session.progress.greeting = b""
    assert member.tell(b"y")
    member.tell_owed()
    assert line.written == []
