"""A worker that stands still is told from one that has nothing to do or knows what it waits for."""

from streams.contract import Millis, Offset, Partition
from streams.standstill import Place, Standstill

P0, P1 = Partition(0), Partition(1)


def at(committed: int, end: int) -> Place:
    return Place(Offset(committed), Offset(end))


def test_a_partition_that_stands_while_its_log_goes_on_is_stuck() -> None:
    standstill = Standstill(Millis(20_000))
    for now in range(0, 21_000, 1000):
        assert standstill.stuck(Millis(now), {P0: at(5, 6 + now)}, excused=False) is None
    assert standstill.stuck(Millis(21_000), {P0: at(5, 99)}, excused=False) == "partition 0 stands at 5 of 99 for 21 s"


def test_a_partition_that_moves_or_has_nothing_to_do_is_not() -> None:
    standstill = Standstill(Millis(20_000))
    for step in range(100):
        places = {P0: at(step // 10, 1000), P1: at(7, 7)}
        assert standstill.stuck(Millis(step * 1500), places, excused=False) is None


def test_the_wait_begins_when_there_is_something_to_do() -> None:
    standstill = Standstill(Millis(20_000))
    assert standstill.stuck(Millis(0), {P0: at(5, 5)}, excused=False) is None
    assert standstill.stuck(Millis(60_000), {P0: at(5, 5)}, excused=False) is None
    assert standstill.stuck(Millis(61_000), {P0: at(5, 6)}, excused=False) is None
    assert standstill.stuck(Millis(79_000), {P0: at(5, 6)}, excused=False) is None
    assert standstill.stuck(Millis(81_000), {P0: at(5, 6)}, excused=False) is not None


def test_who_knows_what_he_waits_for_is_excused_and_gets_his_time_anew() -> None:
    standstill = Standstill(Millis(20_000))
    for now in range(0, 600_000, 10_000):
        assert standstill.stuck(Millis(now), {P0: at(5, 6)}, excused=True) is None
    assert standstill.stuck(Millis(605_000), {P0: at(5, 6)}, excused=False) is None
    assert standstill.stuck(Millis(611_000), {P0: at(5, 6)}, excused=False) is not None


def test_a_partition_that_comes_back_gets_its_time_anew() -> None:
    standstill = Standstill(Millis(20_000))
    standstill.stuck(Millis(0), {P0: at(5, 6)}, excused=False)
    standstill.stuck(Millis(10_000), {}, excused=False)
    assert standstill.stuck(Millis(25_000), {P0: at(5, 6)}, excused=False) is None
