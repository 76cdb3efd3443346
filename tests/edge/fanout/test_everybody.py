"""What concerns all clients, for a few of them at a time."""

from itertools import pairwise

import pytest

from edge.fanout.cohorts import Cohort, Cohorts
from edge.fanout.ending import End
from edge.fanout.everybody import AT_ONCE, Everybody
from edge.fanout.member import Gap, Member
from edge.fanout.session import Session
from edge.wire.encoding import Encoding
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import Offset
from tests.edge.fanout.test_sources import replay_of
from tests.edge.fanout.test_watch import Keeper
from tests.edge.kit.lines import Line, Turns
from tests.edge.kit.records import at, log_of, messages, record


class Bench:
    """A log, its clients, and what is said of them."""

    def __init__(self, clients: int = 0, encoding: Encoding = PLAIN) -> None:
        self.turns = Turns()
        self.log = log_of(record(1))
        self.cohorts: Cohorts[Member] = Cohorts(self.log.head)
        self.ends: list[tuple[float, End]] = []
        self.dropped: list[Member] = []
        self.everybody = Everybody(
            self.log, self.cohorts, self.turns, heartbeat=25, end_at=self.end_at, drop=self.dropped.append
        )
        self.members = [
            Member(
                Keeper(),
                Session(self.log.head, encoding, id=f"session {number}"),
                Line(self.turns),
                None,
                self.turns.now,
            )
            for number in range(clients)
        ]

    @property
    def gone_on(self) -> list[Member]:
        """Those that were moved behind the newest gap, and go on there."""
        return [member for member in self.members if isinstance(member.session.progress, Cohort)]

    def end_at(self, _: Member, when: float, end: End) -> None:
        """Note it."""
        self.ends.append((when - self.turns.now, end))


def test_without_a_gap_there_is_nothing_to_do() -> None:
    bench = Bench(1)
    assert bench.everybody.can_tell()
    assert not bench.everybody.move(bench.members[0])
    assert not bench.everybody.work()


def test_all_are_moved_behind_a_gap_a_few_at_a_time() -> None:
    """Each once, and none that has ended; clients that cannot be told are ended one after the other."""
    bench = Bench(200)
    bench.members[3].is_over = True
    bench.log.begin(Offset(5), Offset(5))
    bench.everybody.interrupt("interrupted", bench.members)
    assert bench.everybody.move(bench.members[7])
    assert bench.everybody.waiting == 200
    moved = []
    while bench.everybody.work():
        moved.append(len(bench.gone_on))
    assert max(later - one for one, later in zip([0, *moved], moved, strict=False)) <= AT_ONCE
    assert (len(bench.gone_on), bench.everybody.waiting) == (198, 0)
    assert {member.session.position for member in bench.gone_on} == {bench.log.head}
    assert [end for _, end in bench.ends] == [End.INTERRUPTED] * 199
    assert bench.ends[-1][0] == pytest.approx(199 / 200)


def test_a_gap_is_told_to_each_once_there_is_a_cursor() -> None:
    bench = Bench(2, CURSOR)
    bench.log.begin(Offset(5), Offset(6))
    bench.everybody.interrupt("recreated", bench.members)
    assert not bench.everybody.can_tell()
    assert not bench.everybody.work()
    bench.log.append(Offset(5), record(5))
    assert bench.everybody.work()
    for member in bench.members:
        payload = messages(member.session.progress.greeting)[0]["payload"]
        assert (payload["reason"], payload["session"]) == ("recreated", member.session.id)
    assert bench.ends == []


def test_those_for_whom_a_replay_does_not_wait_are_dropped_a_few_at_a_time() -> None:
    """But for who has ended, goes on in the log, or goes on behind a gap of which it is still to be told."""
    bench = Bench(200)
    replay = replay_of(0, 1)
    for member in bench.members:
        member.session.skip_to(at(0, 0), replay=replay)
    over, elsewhere, behind_gap = bench.members[:3]
    over.is_over, elsewhere.session.progress.replay, behind_gap.gap = True, None, Gap(bench.log.head, "interrupted")
    bench.log.begin(Offset(5), Offset(5))
    bench.everybody.leave_behind(bench.members)
    dropped = [0]
    while bench.everybody.work():
        dropped.append(len(bench.dropped))
    assert max(later - one for one, later in pairwise(dropped)) <= AT_ONCE
    assert bench.dropped == bench.members[3:]


def test_all_are_ended_over_the_time_that_there_is() -> None:
    """Also while a gap cannot be told yet."""
    bench = Bench(1000)
    bench.log.begin(Offset(5), Offset(6))
    bench.everybody.interrupt("interrupted", bench.members)
    bench.everybody.end(bench.members, End.SHUTDOWN, 2)
    while bench.everybody.work():
        pass
    assert [end for _, end in bench.ends] == [End.SHUTDOWN] * 1000
    assert [when for when, _ in bench.ends] == pytest.approx([0.002 * number for number in range(1, 1001)])
