"""What garbage collection traverses, and when; that there is no garbage for it is held by the tests of connections."""

import gc
from collections.abc import Iterator
from weakref import ref

import pytest

from edge.garbage_collection import LITTLE, LOOK_SECONDS, SECOND_LOOK, Collector, configure


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Let it work as usual afterwards."""
    yield
    gc.enable()
    gc.unfreeze()


class Cycle:
    """Garbage that reference counts do not free."""

    def __init__(self) -> None:
        self.itself = self


def young() -> int:
    """Return how many objects were not looked at yet."""
    return len(gc.get_objects(generation=0))


def test_what_is_there_at_the_start_is_left_alone() -> None:
    """All that was imported; what is made later is looked at, and not by Python itself."""
    there = [object()]
    configure()
    later = [there]
    tracked = {id(each) for each in gc.get_objects()}
    assert id(there) not in tracked
    assert id(later) in tracked
    assert not gc.isenabled()


def test_objects_that_come_while_others_go_are_looked_at_a_few_at_a_time() -> None:
    """Python, which counts how many more are made than freed, would not look before one more comes than went."""
    held: list[list[None]] = [[] for _ in range(50_000)]
    configure()
    collector, most = Collector(), 0
    for place in range(len(held)):
        held[place] = []
        if place % 1_000 == 0:
            collector.work(LOOK_SECONDS / 2)
            most = max(most, young())
    assert most < 5_000


def test_nothing_is_looked_at_before_the_loop_has_worked_for_a_while() -> None:
    """An edge that does nothing costs nothing."""
    configure()
    collector, cycle = Collector(), Cycle()
    gone = ref(cycle)
    del cycle
    collector.work(LOOK_SECONDS * 0.6)
    assert gone() is not None
    collector.work(LOOK_SECONDS * 0.6)
    assert gone() is None


@pytest.mark.parametrize("others", [0, LITTLE, 6 * LITTLE])
def test_garbage_that_lived_for_a_while_is_found_if_little_has_come_with_it(others: int) -> None:
    """Whatever came with many clients is left alone, as they are: to go through them takes too long."""
    configure()
    collector, cycle = Collector(), Cycle()
    held: list[list[None]] = [[] for _ in range(others)]
    collector.work(LOOK_SECONDS)
    gone = ref(cycle)
    del cycle
    for _ in range(SECOND_LOOK - 1):
        assert gone() is not None
        collector.work(LOOK_SECONDS)
    assert (gone() is None) == (len(held) == 0)
    # What was left alone is left alone for good: it is not in the way of what comes later.
    later = Cycle()
    collector.work(LOOK_SECONDS)
    gone = ref(later)
    del later
    for _ in range(SECOND_LOOK):
        collector.work(LOOK_SECONDS)
    assert gone() is None
