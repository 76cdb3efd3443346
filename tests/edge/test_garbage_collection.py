"""What garbage collection traverses, and that there is no garbage for it."""

import gc
from collections.abc import Iterator

import pytest

from edge.garbage_collection import configure


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Let it work as usual afterwards."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_what_is_there_at_the_start_is_left_alone() -> None:
    """All that was imported; what is made later is looked at."""
    there = [object()]
    configure()
    later = [there]
    tracked = {id(each) for each in gc.get_objects()}
    assert id(there) not in tracked
    assert id(later) in tracked


def test_as_many_new_objects_as_many_clients_consist_of_are_looked_at_once() -> None:
    """Looked at twice, they would be looked at with all that came between, which takes hundreds of milliseconds."""
    configure()
    before = gc.get_stats()
    held: list[list[None]] = [[] for _ in range(100_000)]
    after = gc.get_stats()
    looks = [then["collections"] - now["collections"] for now, then in zip(before, after, strict=True)]
    assert looks[0] in range(5, 15)
    assert looks[1:] == [0, 0]
    assert len(held) == 100_000
