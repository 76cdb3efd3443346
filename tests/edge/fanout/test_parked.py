"""Cohorts that rest in replays, without anybody who sends."""

from typing import Any
from weakref import ref

import pytest

from edge.fanout.parked import AT_ONCE, Parked
from edge.feed.log import Log
from edge.feed.replay import Replay
from streams.contract import Offset


class Group:
    """So many clients that read a replay, or the log."""

    def __init__(self, replay: Replay[Any] | None, clients: int = 1) -> None:
        self.replay = replay
        self.clients = clients

    def __len__(self) -> int:
        return self.clients


def replay() -> Replay[Any]:
    """Make one."""
    return Replay(Log(limit=1000, reach=0), first=Offset(0), reach=0, address="")


def parked(groups: list[Group]) -> Parked[Group]:
    """Have them rest."""
    made: Parked[Group] = Parked()
    for each in groups:
        assert each.replay is not None
        made.add(each, each.replay)
    return made


def test_the_newest_of_a_replay_can_be_joined() -> None:
    one, other = replay(), replay()
    groups = [Group(one), Group(one), Group(other)]
    made = parked(groups)
    assert (made.newest(one), made.newest(other), made.newest(replay())) == (groups[1], groups[2], None)


def test_a_few_go_on_at_a_time_and_those_of_other_replays_rest() -> None:
    one, other = replay(), replay()
    groups = [Group(one) for _ in range(AT_ONCE + 5)]
    made = parked([*groups, Group(other, 3)])
    assert (made.take(), len(made)) == ([], AT_ONCE + 8)
    made.wake(one)
    assert (made.newest(one), len(made)) == (None, AT_ONCE + 8)
    made.add(comes := Group(one), one)
    assert [made.take(), made.take(), made.take()] == [groups[:AT_ONCE], groups[AT_ONCE:], []]
    assert (made.newest(one), len(made)) == (comes, 4)


@pytest.mark.parametrize("forgotten", [1, 2])
def test_nothing_is_kept_of_a_replay_in_which_nobody_rests(forgotten: int) -> None:
    here = replay()
    known, groups = ref(here), [Group(here), Group(here)]
    made = parked(groups)
    for each in groups[:forgotten]:
        made.forget(each)
        each.replay = None
    del here
    assert (known() is None) == (forgotten == 2)


def test_who_does_not_rest_is_not_forgotten_from_where_it_is_not() -> None:
    here = replay()
    one = Group(here)
    made = parked([one])
    for each in (Group(None), Group(here), Group(replay())):
        made.forget(each)
    assert len(made) == 1
    made.wake(here)
    made.forget(one)
    assert made.take() == [one]


def test_all_are_forgotten_when_the_log_begins_anew() -> None:
    one, other = replay(), replay()
    made = parked([Group(one), Group(other)])
    made.wake(one)
    made.clear()
    assert (len(made), made.take(), made.newest(other)) == (0, [], None)
