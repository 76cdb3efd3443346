"""When clients are to come back, without any."""

from heapq import heapify, heappop, heappush
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.access.returns import BURST_SECONDS, MOST_SECONDS, SHARE, Returns

RATE = 100.0
NOW = 1000.0


def come_back(returns: Returns, clients: int, jitter: float = 0.0) -> list[float]:
    """Have so many come at once, and each again when it is told to; return when each was taken in."""
    arrivals = [(NOW, number) for number in range(clients)]
    heapify(arrivals)
    taken = []
    while arrivals:
        now, number = heappop(arrivals)
        wait = returns.wait(now)
        if wait is None:
            taken.append(now)
        else:
            assert 0 < wait <= MOST_SECONDS + 1
            heappush(arrivals, (now + wait + jitter * (number % 7), number))
    return taken


def most_in(taken: list[float], seconds: float) -> int:
    """Return how many were taken in at most in any so many seconds."""
    return max(sum(begin <= each <= begin + seconds for each in taken) for begin in taken)


@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_all_that_come_at_once_are_in_within_what_the_rate_says(jitter: float) -> None:
    """A second's worth at once, and the others in their turns; at their second attempt unless they dawdle."""
    taken = come_back(Returns(RATE), 1000, jitter)
    assert sum(each == NOW for each in taken) == RATE * BURST_SECONDS
    assert taken[-1] - NOW == pytest.approx(900 / (SHARE * RATE), abs=jitter * 6 + 0.1)
    for seconds in (0.1, 1, 5):
        assert most_in(taken, seconds) <= RATE * (seconds + BURST_SECONDS) + 1


@given(st.lists(st.floats(0, 3), max_size=400), st.sampled_from([10.0, RATE]))
@settings(deadline=None, max_examples=50)
def test_never_more_are_taken_in_than_the_rate_allows(apart: list[float], rate: float) -> None:
    """Whenever they come."""
    returns, now, taken = Returns(rate), NOW, []
    for seconds in apart:
        now += seconds / 10
        if returns.wait(now) is None:
            taken.append(now)
    for begin in taken:
        for seconds in (0.1, 1.0, 10.0):
            count = sum(begin <= each <= begin + seconds for each in taken)
            assert count <= rate * (seconds + BURST_SECONDS) + 1


def test_newcomers_find_room_beside_those_that_come_back() -> None:
    """A fifth of the rate is left to them."""
    returns = Returns(RATE)
    waiting = sorted(NOW + wait for _ in range(1000) if (wait := returns.wait(NOW)) is not None)
    newcomers = [NOW + 0.1 * number for number in range(1, 100)]
    refused = sum(returns.wait(now) is not None for now in sorted([*waiting, *newcomers]))
    assert refused == 0


def test_turns_lie_evenly_and_begin_now() -> None:
    """Also those of clients that are closed while others are refused; some wait longer because of why they are."""
    returns = Returns(RATE)
    turns = [returns.turn(NOW) for _ in range(100)]
    assert turns[0] == pytest.approx(1 / (SHARE * RATE))
    assert {round(later - one, 9) for one, later in pairwise(turns)} == {round(1 / (SHARE * RATE), 9)}
    assert returns.turn(NOW, least=10) == pytest.approx(10 + 101 / (SHARE * RATE))
    assert returns.turn(NOW + 500) == pytest.approx(1 / (SHARE * RATE))


def test_nobody_waits_for_ever_because_of_others() -> None:
    """A stranger that comes again and again puts others off for two minutes at most."""
    returns = Returns(RATE)
    turns = [returns.turn(NOW) for _ in range(50_000)]
    assert max(turns) <= MOST_SECONDS
    assert min(turns[1:]) == 0


def test_less_than_one_a_second_is_one_at_a_time() -> None:
    returns = Returns(0.1)
    assert returns.wait(NOW) is None
    wait = returns.wait(NOW)
    assert wait is not None
    assert returns.wait(NOW + wait) is None


def test_without_a_rate_all_are_taken_in() -> None:
    """And those that are closed come back at once."""
    returns = Returns(0)
    assert [returns.wait(NOW) for _ in range(10_000)] == [None] * 10_000
    assert returns.turn(NOW) == 0
    assert returns.turn(NOW, least=1) == 1
