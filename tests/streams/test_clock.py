"""The clock of event time: steady, and the wall's again when the wall's was set."""

import pytest

from streams.clock import TOLERANCE_SECONDS, EventClock


class Clocks:
    """A wall's clock and a steady one."""

    wall = 1_000_000.0
    steady = 50.0

    def clock(self) -> EventClock:
        return EventClock(lambda: self.wall, lambda: self.steady)

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def test_it_tells_the_walls_time_in_milliseconds() -> None:
    clocks = Clocks()
    clock = clocks.clock()
    assert clock.now() == 1_000_000_000
    clocks.pass_(1.2345)
    assert clock.now() == 1_000_001_234


@pytest.mark.parametrize("step", [-TOLERANCE_SECONDS, TOLERANCE_SECONDS])
def test_a_small_step_of_the_wall_is_not_followed(step: float) -> None:
    clocks = Clocks()
    clock = clocks.clock()
    clocks.wall += step
    clocks.pass_(2)
    assert clock.now() == 1_000_002_000


@pytest.mark.parametrize("step", [-3600.0, -1.5, 1.5, 3600.0])
def test_a_wall_clock_that_was_set_is_followed_at_once(step: float) -> None:
    clocks = Clocks()
    clock = clocks.clock()
    clocks.wall += step
    assert clock.now() == round((1_000_000 + step) * 1000)
    clocks.pass_(1)
    assert clock.now() == round((1_000_001 + step) * 1000)


def test_small_steps_add_up() -> None:
    clocks = Clocks()
    clock = clocks.clock()
    for _ in range(3):
        clocks.wall -= 0.5
        clock.now()
    assert clock.now() == 999_998_500
