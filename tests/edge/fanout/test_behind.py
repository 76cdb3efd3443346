"""The work behind the head, a piece at a time, whatever there is of each kind."""

from edge.fanout.agenda import Kind
from edge.fanout.behind import Behind
from edge.fanout.cohorts import Cohort, Cohorts
from edge.fanout.everybody import Everybody
from edge.fanout.member import Member
from edge.fanout.parked import AT_ONCE
from edge.fanout.session import Session
from edge.feed.position import Position
from edge.feed.replay import Replay
from edge.feed.selection import Selection
from edge.wire.websocket_encodings import PLAIN
from streams.contract import Offset
from tests.edge.fanout.test_watch import Keeper
from tests.edge.kit.lines import Line, Turns
from tests.edge.kit.records import log_of, record


class Scene:
    """Nobody, and nothing to do."""

    def __init__(self) -> None:
        # A look at the clock is a millisecond: a piece of indexing is one author.
        self.turns, self.log = Turns(tick=0.001), log_of(record(1), record(2))
        self.cohorts: Cohorts[Member] = Cohorts(self.log.head)
        self.done: list[str] = []
        everybody = Everybody(
            self.log,
            self.cohorts,
            self.turns,
            heartbeat=25,
            end_at=lambda *_: self.done.append("ended"),
            drop=self.drop,
        )
        self.everybody = everybody
        self.behind = Behind(
            self.log,
            self.cohorts,
            everybody,
            self.turns,
            serve=self.serve,
            close=lambda _: self.done.append("closed"),
            drop=self.drop,
        )

    def serve(self, cohort: Cohort[Member]) -> None:
        """Note it; nobody is put back."""
        self.done.append(f"served {len(cohort)}")

    def drop(self, member: Member) -> None:
        """Note it, and forget the client."""
        self.cohorts.remove(member)
        self.done.append("dropped")

    def member(self, position: int = 0) -> Member:
        """Make a client."""
        return Member(Keeper(), Session(Position(position), PLAIN), Line(self.turns), None, 0)


def test_nothing_to_do_is_said() -> None:
    scene = Scene()
    assert [scene.behind.work() for _ in range(3)] == [False] * 3


def test_the_index_and_all_other_work_go_on_side_by_side() -> None:
    """Neither waits for the other, however much there is of it."""
    scene = Scene()
    scene.cohorts.filters.enter(Selection(range(50)))
    for position in (0, 1, 2):
        scene.cohorts.place(scene.member(position), Kind.LAGGARDS, 0)
    scene.cohorts.agenda.closings.add(scene.member(), 0)
    pieces = 0
    while len(scene.done) < 4:
        assert scene.behind.work()
        pieces += 1
    assert sorted(scene.done) == ["closed", *["served 1"] * 3]
    assert pieces <= 2 * 4
    assert 0 < scene.cohorts.filters.entries < 50
    while scene.behind.work():
        pass
    assert scene.cohorts.filters.entries == 50


def test_clients_that_the_log_has_moved_past_come_first() -> None:
    scene = Scene()
    late = scene.member()
    scene.cohorts.pause(late)
    scene.cohorts.place(scene.member(), Kind.LAGGARDS, 0)
    scene.log.begin(Offset(2), Offset(2))
    assert scene.behind.work()
    assert scene.done == ["dropped"]


def test_those_that_rest_in_a_replay_go_on_beside_those_that_have_a_turn() -> None:
    scene = Scene()
    replay: Replay[Member] = Replay(log_of(), first=Offset(0), reach=0, address="")
    for author in range(2 * AT_ONCE):
        member = scene.member()
        member.session.selection = Selection([author])
        member.session.skip_to(Position(0), replay=replay)
        scene.cohorts.place(member, Kind.NEWCOMERS, 0)
    assert [scene.behind.work() for _ in range(2)] == [False, False]
    replay.log.append(Offset(0), record(1))
    scene.cohorts.wake(replay)
    for _ in range(2):
        assert scene.behind.work()
        assert scene.done == ["served 1"]
        scene.done.clear()
    while scene.behind.work():
        pass
    assert scene.done == ["served 1"] * (2 * AT_ONCE - 2)
