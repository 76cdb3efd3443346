"""A partition that stands still is told from one that has nothing to do, or whose worker waits."""

from streams.contract import Millis, Offset, Partition
from streams.standstill import Place, Standstill

P0, P1 = Partition(0), Partition(1)


def at(committed: int, end: int, read: int | None = None) -> Place:
    return Place(Offset(committed), Offset(end), None if read is None else Offset(read))


class Watch:
    """A standstill with a patience of 20 s and windows of 5 s, and a clock in seconds."""

    def __init__(self) -> None:
        self.standstill = Standstill(Millis(20_000), Millis(5000))

    def __call__(self, second: float, *places: Place, waiting: bool = False, progressed: int = 0) -> str | None:
        return self.standstill.stuck(
            Millis(round(second * 1000)),
            {Partition(number): place for number, place in enumerate(places)},
            waiting=waiting,
            progressed=progressed,
        )


def test_a_committed_offset_that_stands_while_the_log_goes_on_is_stuck_after_the_patience_and_a_window() -> None:
    watch = Watch()
    for second in range(26):
        assert watch(second, at(5, 6 + second)) is None
    assert watch(26, at(5, 99)) == "partition 0 stands at 5 of 99 for 26 s"


def test_a_partition_that_moves_or_has_nothing_to_do_is_not() -> None:
    watch = Watch()
    for step in range(100):
        assert watch(step * 1.5, at(step // 10, 1000), at(7, 7)) is None


def test_the_time_begins_when_there_is_something_to_do() -> None:
    watch = Watch()
    assert watch(0, at(5, 5)) is None
    assert watch(60, at(5, 5)) is None
    assert watch(61, at(5, 6)) is None
    assert watch(85, at(5, 6)) is None
    assert watch(86, at(5, 6)) is not None


def test_progress_of_batches_excuses_a_committed_offset() -> None:
    watch = Watch()
    for step in range(100):
        assert watch(step * 2, at(5, 99), progressed=step) is None
    assert watch(223, at(5, 99), progressed=99) is None
    assert watch(224, at(5, 99), progressed=99) is not None


def test_a_partition_that_is_not_read_on_is_stuck_whatever_the_others_do() -> None:
    watch = Watch()
    for step in range(11):
        assert watch(step * 2, at(5, 99, 7), at(step, 99, step), progressed=step) is None
    assert watch(22, at(5, 99, 7), at(11, 99, 11), progressed=11) == "partition 0 is not read on at 7 of 99 for 22 s"


def test_a_partition_that_is_read_on_read_to_its_end_or_held_back_is_not() -> None:
    watch = Watch()
    for step in range(100):
        assert watch(step * 2, at(5, 9999, 7 + step), at(5, 9, 9), at(5, 9, None), progressed=step) is None


def test_while_the_worker_waits_nothing_counts_and_the_time_begins_anew() -> None:
    watch = Watch()
    for second in range(0, 600, 10):
        assert watch(second, at(5, 6, 5), waiting=True) is None
    assert watch(605, at(5, 6, 5)) is None
    assert watch(609, at(5, 6, 5)) is None
    assert watch(611, at(5, 6, 5)) == "partition 0 is not read on at 5 of 6 for 21 s"


def test_a_partition_that_comes_back_gets_its_time_anew() -> None:
    watch = Watch()
    watch(0, at(5, 6))
    watch(10)
    assert watch(30, at(5, 6)) is None
