"""When clients are looked at, by one timer."""

from collections import deque

import pytest

from edge.access.grant import Grant
from edge.fanout.deadlines import Patience
from edge.fanout.ending import End
from edge.fanout.expiry import Expiry
from edge.fanout.member import Member
from edge.fanout.session import Session
from edge.fanout.watch import Watch
from edge.feed.position import Position
from edge.feed.selection import Selection
from edge.wire.encoding import Encoding
from edge.wire.websocket_encodings import CURSOR, PLAIN
from tests.edge.kit.lines import Line, Turns

PATIENCE = Patience(ping=20, dead=60, stalled=600)


class Keeper:
    """A hub that does nothing."""

    def pause(self, member: Member) -> None:
        """Ignore it."""

    resume = stop = expect_close = leave = pause

    def select(self, member: Member, selection: Selection | None) -> str | None:
        """Do nothing."""

    def renew(self, member: Member, grant: Grant, selection: Selection | None) -> bool:  # noqa: ARG002
        """Do nothing."""
        return False

    def cursor_of(self, member: Member) -> str | None:
        """Know of none."""


class Bench:
    """A watch, and what it says."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.said: deque[tuple[Member, End | str]] = deque()
        self.watch = Watch(
            PATIENCE,
            self.turns,
            beat=self.beat,
            warn=self.warn,
            end=self.end,
            cut=lambda member, end: self.said.append((member, end)),
        )

    def beat(self, member: Member) -> None:
        """Note it, as the hub does."""
        member.session.note_told(self.turns.now)
        self.said.append((member, "beat"))

    def warn(self, member: Member) -> None:
        """Note it, as the hub does."""
        assert member.expiry is not None
        member.expiry.warns_at = float("inf")
        self.said.append((member, "warn"))

    def end(self, member: Member, end: End) -> None:
        """Note it, as the hub does."""
        member.expiry = None
        member.ends_at = float("inf")
        self.said.append((member, f"end {end.name}"))

    def member(self, encoding: Encoding = PLAIN) -> tuple[Member, Line]:
        """Watch a client."""
        line = Line(self.turns)
        member = Member(Keeper(), Session(Position(0), encoding), line, None, self.turns.now)
        self.watch.see_to(member)
        return member, line


def test_there_is_one_timer_however_many_clients_there_are() -> None:
    """It is set anew only for a nearer deadline."""
    bench = Bench()
    clients = [bench.member() for _ in range(100)]
    assert len(bench.turns.alarms) == 1
    clients[7][1].close_by = bench.turns.now + 5
    bench.watch.see_to(clients[7][0])
    assert [alarm.is_cancelled for alarm in bench.turns.alarms] == [True, False]
    bench.turns.sleep(5.1)
    assert list(bench.said) == [(clients[7][0], End.DEAD)]
    assert len([alarm for alarm in bench.turns.alarms if not alarm.is_cancelled]) == 1


def test_what_a_client_says_costs_nothing_and_moves_its_ping() -> None:
    """The timer comes up for nothing then, once."""
    bench = Bench()
    _, line = bench.member()
    bench.turns.sleep(15)
    line.heard = bench.turns.now
    alarms = len(bench.turns.alarms)
    bench.turns.sleep(19.9)
    assert (line.pings, alarms) == (0, 1)
    bench.turns.sleep(0.2)
    assert line.pings == 1


def test_each_is_pinged_until_it_is_dead() -> None:
    bench = Bench()
    member, line = bench.member()
    bench.turns.sleep(59.9)
    assert (line.pings, list(bench.said)) == (2, [])
    bench.turns.sleep(0.2)
    assert list(bench.said) == [(member, End.DEAD)]


@pytest.mark.parametrize("end", [End.AGED, End.INTERRUPTED])
def test_a_session_is_ended_at_its_time_and_its_client_watched_on(end: End) -> None:
    """It may be dead before it is closed. The earliest time counts."""
    bench = Bench()
    member, _ = bench.member()
    member.end_at(bench.turns.now + 30, end)
    member.end_at(bench.turns.now + 40, End.SHUTDOWN)
    bench.watch.see_to(member)
    bench.turns.sleep(100)
    assert list(bench.said) == [(member, f"end {end.name}"), (member, End.DEAD)]


def test_a_client_that_is_over_is_not_ended_again() -> None:
    bench = Bench()
    member, _ = bench.member()
    member.is_over = True
    member.end_at(bench.turns.now, End.SHUTDOWN)
    bench.watch.see_to(member)
    bench.turns.sleep(1)
    assert list(bench.said) == []


def test_a_client_that_is_forgotten_is_looked_at_no_more() -> None:
    bench = Bench()
    member, line = bench.member()
    bench.watch.forget(member)
    bench.turns.sleep(100)
    assert (line.pings, list(bench.said), bench.turns.alarms) == (0, [], [])


def test_a_client_with_cursors_is_told_something_every_25_seconds() -> None:
    """What it was sent meanwhile moves that; its pings and its death come at their own times."""
    bench = Bench()
    member, line = bench.member(CURSOR)
    bench.turns.sleep(10)
    member.session.note_told(bench.turns.now)
    bench.turns.sleep(24.9)
    assert list(bench.said) == []
    bench.turns.sleep(0.2)
    assert (list(bench.said), line.pings) == ([(member, "beat")], 1)
    bench.turns.sleep(25.1)
    assert list(bench.said) == [(member, "beat"), (member, End.DEAD)]


def test_a_client_is_told_once_that_its_token_expires_and_ended_with_it() -> None:
    """At its times, whatever else is due; then it is watched on, since it is still to be closed."""
    bench = Bench()
    member, _ = bench.member()
    member.expiry = Expiry(0, warns_at=bench.turns.now + 10, ends_at=bench.turns.now + 40)
    bench.watch.see_to(member)
    bench.turns.sleep(9.9)
    assert list(bench.said) == []
    bench.turns.sleep(0.2)
    assert list(bench.said) == [(member, "warn")]
    bench.turns.sleep(29.8)
    assert list(bench.said) == [(member, "warn")]
    bench.turns.sleep(0.2)
    assert list(bench.said) == [(member, "warn"), (member, "end EXPIRED")]
    bench.turns.sleep(20)
    assert list(bench.said)[2:] == [(member, End.DEAD)]
