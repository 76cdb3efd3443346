"""Clients that a replay does not wait for: who can go on in the log is not closed."""

from itertools import pairwise

import pytest

from edge.access.grant import LEEWAY_SECONDS, Grant
from edge.fanout.agenda import Kind
from edge.fanout.ending import End
from edge.fanout.everybody import AT_ONCE
from edge.fanout.hub import Hub
from edge.fanout.member import Member
from edge.fanout.rounds import BEHIND_SECONDS
from edge.feed.reads import Chunk
from edge.feed.replay import Replay
from streams.contract import Offset
from tests.edge.fanout.test_sources import join_replay, replay_of
from tests.edge.kit.lines import Line, Turns, hub_of
from tests.edge.kit.records import at, log_of, record


class Scene:
    """A log that has records from 10 on, a replay of those up to 12, and a client of it that takes nothing."""

    def __init__(self, room: float = 0, life: float = 1e9) -> None:
        self.turns, self.log = Turns(), log_of(*map(record, range(10, 14)), first=10)
        self.hub: Hub = hub_of(self.log, self.turns)
        self.replay: Replay[Member] = replay_of(0, 12)
        self.line = Line(self.turns, room)
        grant = Grant("7", None, self.turns.now + life)
        self.member = join_replay(self.hub, self.replay, self.line, 1, grant=grant)
        self.turns.rest()

    def leave_behind(self) -> None:
        """Have the replay say that it does not wait any longer."""
        self.replay.leave(self.member)
        self.hub.leave_behind([self.member])
        self.turns.rest()


@pytest.mark.parametrize("drains", [True, False], ids=["takes again", "takes nothing"])
def test_who_has_come_as_far_as_the_log_goes_on_there(drains: bool) -> None:
    """It is sent what follows as soon as it takes it, and ends with the log, as all others there do."""
    scene = Scene()
    scene.member.session.progress.move_on(Chunk(b"", at(11, 1), 0))
    scene.leave_behind()
    assert (scene.line.ends, scene.member.session.replay) == ([], None)
    if drains:
        scene.line.drain()
        scene.turns.rest()
        assert scene.line.got[-2:] == [12, 13]
    else:
        scene.log.skip_to(Offset(100))
        scene.log.append(Offset(100), record(100))
        scene.hub.publish()
        scene.turns.rest()
        assert scene.line.ends == [End.FELL_BEHIND]


def test_who_takes_again_and_has_not_been_served_goes_on_at_once() -> None:
    scene = Scene(room=float("inf"))
    scene.log.append(Offset(14), record(14))
    before = len(scene.line.got)
    other = join_replay(scene.hub, scene.replay, Line(scene.turns), 11)
    scene.hub.leave_behind([other])
    scene.hub.publish()
    scene.turns.rest()
    assert (other.link.ends, other.session.replay) == ([], None)  # type: ignore[attr-defined]  # it is a Line
    assert (scene.line.got[before:], other.position) == ([14], scene.log.head)


def test_who_goes_on_in_the_log_already_is_left_alone() -> None:
    """Between the replay's finding and its word it may have been sent all that the replay had."""
    scene = Scene(room=float("inf"))
    assert scene.member.session.replay is None
    scene.leave_behind()
    assert (scene.line.ends, scene.line.got) == ([], list(range(2, 14)))


def test_who_stands_before_the_log_is_closed() -> None:
    scene = Scene()
    scene.member.session.skip_to(at(3, 1), replay=scene.replay)
    scene.leave_behind()
    assert scene.line.ends == [End.FELL_BEHIND]


@pytest.mark.parametrize("stands", [3, 11], ids=["before the log", "where the log goes on"])
def test_who_has_ended_meanwhile_is_not_ended_again_and_gets_nothing(stands: int) -> None:
    """Its token has run out between the replay's finding and its word, and it is still to be closed: it is, as that."""
    scene = Scene(life=10 - LEEWAY_SECONDS)
    scene.member.session.skip_to(at(stands, 1), replay=scene.replay)
    scene.replay.leave(scene.member)
    scene.turns.now += 11
    scene.turns.turn()
    assert (scene.member.is_over, scene.line.ends) == (True, [])
    before = len(scene.line.got)
    scene.line.drain()
    scene.leave_behind()
    scene.turns.sleep(300)
    assert (scene.line.ends, scene.line.pings, len(scene.line.got)) == ([End.EXPIRED, "aborted"], 0, before)


def test_who_has_left_meanwhile_is_forgotten() -> None:
    scene = Scene()
    scene.member.leave()
    scene.leave_behind()
    assert (len(scene.hub), scene.hub.lagging, scene.line.ends) == (0, 0, [])


def test_many_are_ended_a_few_at_a_time() -> None:
    """Law 12: a replay may have thousands of readers that are too slow for the others."""
    turns = Turns(tick=BEHIND_SECONDS)
    hub, replay = hub_of(log_of(record(10), first=10), turns), replay_of(0, 5)
    lines = [Line(turns) for _ in range(4 * AT_ONCE)]
    members = [join_replay(hub, replay, line, 1) for line in lines]
    turns.rest()
    ended = [0]

    def count() -> None:
        ended.append(hub.waits()[Kind.CLOSINGS].clients + sum(bool(line.ends) for line in lines))

    hub.leave_behind(members)
    count()
    while turns.due:
        turns.turn()
        count()
    assert max(later - one for one, later in pairwise(ended)) <= AT_ONCE
    assert [line.ends for line in lines] == [[End.FELL_BEHIND]] * len(lines)
