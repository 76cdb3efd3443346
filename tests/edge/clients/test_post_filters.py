"""Filters of polls linger in the index, within bounds."""

from edge.clients.post_filters import LINGER_PART, LINGER_SECONDS, PostFilters
from edge.fanout.filters import Filters
from edge.feed.joins import never
from edge.feed.selection import Selection
from tests.edge.kit.lines import Turns

MOST = 1000


class Rig:
    """Filters, brought up to date whenever that is to be done."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.index = Filters()
        self.changes = 0
        self.filters = PostFilters(self.index, self.turns, max_authors=MOST, changed=self._changed)

    def _changed(self) -> None:
        self.changes += 1
        self.index.work(never)


def test_a_filter_is_in_the_index_as_long_as_it_is_used_and_a_moment_more() -> None:
    rig, selection = Rig(), Selection([1, 2])
    rig.filters.enter(selection)
    rig.turns.sleep(100 * LINGER_SECONDS)
    assert rig.index.is_indexed(selection)
    rig.filters.leave(selection)
    rig.turns.sleep(LINGER_SECONDS * 0.9)
    assert rig.index.is_indexed(selection)
    rig.turns.sleep(LINGER_SECONDS * 0.2)
    assert (len(rig.index), rig.index.entries, rig.changes) == (0, 0, 2)


def test_each_lingers_for_a_time_of_its_own_and_who_comes_back_keeps_it() -> None:
    rig, one, two = Rig(), Selection([1]), Selection([2])
    for each in (one, two):
        rig.filters.enter(each)
    rig.filters.leave(one)
    rig.turns.sleep(LINGER_SECONDS / 2)
    rig.filters.leave(two)
    rig.filters.enter(one)
    changes = rig.changes
    rig.turns.sleep(LINGER_SECONDS * 0.75)
    assert (rig.index.is_indexed(one), rig.index.is_indexed(two), rig.changes) == (True, True, changes + 1)
    rig.turns.sleep(LINGER_SECONDS)
    assert (rig.index.is_indexed(one), rig.index.is_indexed(two)) == (True, False)


def test_what_lingers_has_a_bound_and_the_oldest_goes_first() -> None:
    """Also one filter alone that is larger than all may be."""
    rig = Rig()
    lingering = int(MOST * LINGER_PART)
    half = lingering // 2
    some = [Selection(range(number * half, (number + 1) * half)) for number in range(3)]
    large = Selection(range(lingering + 1))
    for each in some:
        rig.filters.enter(each)
        rig.filters.leave(each)
    assert [rig.index.is_indexed(each) for each in some] == [False, True, True]
    rig.filters.enter(large)
    rig.filters.leave(large)
    assert (len(rig.index), rig.index.entries) == (0, 0)
    rig.turns.sleep(LINGER_SECONDS)
    assert rig.turns.alarms == []
