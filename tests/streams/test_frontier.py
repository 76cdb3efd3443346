"""What may be released never passes what is open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streams.frontier import Frontier


def test_an_open_offset_keeps_back_everything_after_it() -> None:
    frontier: Frontier[int] = Frontier()
    for offset in (5, 6, 7):
        frontier.hold(0, offset)
    frontier.finish(0, [6, 7])
    assert frontier.release() == {}
    frontier.finish(0, [5])
    assert frontier.release() == {0: 7}
    assert frontier.release() == {}
    assert frontier.held == 0


def test_partitions_do_not_wait_for_each_other() -> None:
    frontier: Frontier[str] = Frontier()
    frontier.hold("a", 1)
    frontier.hold("b", 1)
    frontier.finish("b", [1])
    assert frontier.release() == {"b": 1}
    assert frontier.held == 1


def test_an_offset_is_released_when_all_its_parts_are_finished() -> None:
    """A part of a record that MAX_BATCH cuts off keeps it."""
    frontier: Frontier[int] = Frontier()
    frontier.hold(0, 5, parts=3)
    frontier.hold(0, 6)
    assert frontier.held == 4
    frontier.finish(0, [5, 5, 6])
    assert frontier.release() == {}
    assert frontier.held == 4
    frontier.finish(0, [5])
    assert frontier.release() == {0: 6}
    assert frontier.held == 0


def test_nothing_is_kept_of_what_is_released() -> None:
    """Else a worker keeps something of each record for ever (law 8)."""
    frontier: Frontier[int] = Frontier()
    for offset in range(10_000):
        frontier.hold(0, offset, parts=2)
        frontier.finish(0, [offset, offset, offset - 1, offset + 1])
        assert frontier.release() == {0: offset}
    [held] = frontier._held.values()  # noqa: SLF001 - what is kept is not to be seen from outside
    assert (len(held.offsets), len(held.left)) == (0, 0)


def test_after_a_rebalance_the_same_offsets_can_be_held_again() -> None:
    frontier: Frontier[int] = Frontier()
    frontier.hold(0, 5, parts=2)
    frontier.hold(1, 5)
    frontier.clear()
    assert frontier.held == 0
    frontier.hold(0, 5)
    assert frontier.held == 1


def test_offsets_come_in_growing_order() -> None:
    frontier: Frontier[int] = Frontier()
    frontier.hold(0, 5)
    with pytest.raises(ValueError, match="offset 5 of partition 0 comes after 5"):
        frontier.hold(0, 5)


def test_what_is_finished_after_a_rebalance_releases_nothing() -> None:
    frontier: Frontier[int] = Frontier()
    frontier.hold(0, 1)
    frontier.clear()
    frontier.finish(0, [1])
    assert frontier.release() == {}
    # The partition comes back and is read again, from an earlier offset: nothing stale releases it.
    frontier.hold(0, 0)
    frontier.finish(0, [1])
    frontier.hold(0, 1)
    assert frontier.release() == {}
    assert frontier.held == 2


@given(st.permutations(range(20)), st.integers(1, 5))
def test_whatever_the_order_of_finishing_the_longest_finished_beginning_is_released(order: list[int], gap: int) -> None:
    """Gaps between offsets (what retention left) are no reason to wait."""
    frontier: Frontier[int] = Frontier()
    for number in range(20):
        frontier.hold(0, number * gap)
    finished: set[int] = set()
    last = -1
    for number in order:
        frontier.finish(0, [number * gap])
        finished.add(number)
        released = frontier.release().get(0)
        if released is not None:
            assert released > last * gap
            last = released // gap
        prefix = next((n for n in range(20) if n not in finished), 20)
        assert last == prefix - 1


class Releases(RuleBasedStateMachine):
    """A frontier beside the plainest possible model of it, through rebalances."""

    def __init__(self) -> None:
        super().__init__()
        self.frontier: Frontier[int] = Frontier()
        self.next = {0: 0, 1: 0}
        self.open: dict[int, list[int]] = {0: [], 1: []}
        self.done: dict[int, set[int]] = {0: set(), 1: set()}
        self.committed = {0: -1, 1: -1}

    @rule(partition=st.integers(0, 1), step=st.integers(1, 3))
    def hold(self, partition: int, step: int) -> None:
        self.next[partition] += step
        self.frontier.hold(partition, self.next[partition])
        self.open[partition].append(self.next[partition])

    @rule(partition=st.integers(0, 1), which=st.integers(0, 50))
    def finish(self, partition: int, which: int) -> None:
        if self.open[partition]:
            offset = self.open[partition][which % len(self.open[partition])]
            self.frontier.finish(partition, [offset])
            self.done[partition].add(offset)

    @rule()
    def release(self) -> None:
        for partition, offset in self.frontier.release().items():
            assert offset > self.committed[partition]
            self.committed[partition] = offset
            assert all(o in self.done[partition] for o in self.open[partition] if o <= offset)
            self.open[partition] = [o for o in self.open[partition] if o > offset]
            assert not self.open[partition] or self.open[partition][0] not in self.done[partition]

    @rule()
    def rebalance(self) -> None:
        self.frontier.clear()
        for partition in self.open:
            self.open[partition].clear()
            self.done[partition].clear()
            self.next[partition] = self.committed[partition]

    @invariant()
    def held_counts_what_is_not_released(self) -> None:
        assert self.frontier.held == sum(map(len, self.open.values()))


TestReleases = Releases.TestCase
