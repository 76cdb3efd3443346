"""Every address has its share of the replays that begin for old pages, however often one of them asks."""

from edge.client import pause
from edge.clients.post_pace import APART_SECONDS, GRACE_SECONDS, MOST, Pace


def test_the_first_who_asks_is_let_in_and_the_next_are_told_instants_that_lie_apart() -> None:
    pace = Pace()
    assert [pace.wait(address, 100.0, 0.5) for address in "abcd"] == [None, *(n * APART_SECONDS for n in (1, 2, 3))]


def test_an_address_is_let_in_by_its_instant_once() -> None:
    pace = Pace()
    pace.wait("a", 100.0, 0.5)
    assert pace.wait("b", 100.5, 0.5) == 0.5
    assert pace.wait("b", 101.0, 0.5) is None
    assert pace.wait("b", 101.0, 0.5) == 1.0
    assert pace.wait("b", 102.0, 0.5) is None


def test_an_address_that_asks_too_early_keeps_its_instant_and_gets_no_other() -> None:
    pace = Pace()
    pace.wait("a", 100.0, 0.5)
    assert [pace.wait("b", 100.0 + n / 4, 0.5) for n in range(4)] == [1.0, 0.75, 0.5, 0.25]
    assert pace.wait("c", 100.75, 0.5) == 1.25


def test_an_instant_is_kept_for_an_address_that_comes_a_little_late_whoever_asks_before() -> None:
    pace = Pace()
    pace.wait("a", 100.0, 0.5)
    assert pace.wait("late", 100.0, 0.5) == 1.0
    for n in range(300):
        pace.wait("a", 100.0 + n / 100, 0.5)
    assert pace.wait("late", 101.0 + GRACE_SECONDS - 0.01, 0.5) is None


def test_a_client_that_waits_longer_after_failures_is_let_in_when_it_comes() -> None:
    """Ours wait up to a minute after some failures in a row, whatever they are told."""
    pace, now = Pace(), 100.0
    pace.wait("one that asks all the time", now, 0.5)
    for failures in range(5, 20):
        told = pace.wait("ours", now, 0.5)
        if told is None:
            break
        come = now + pause(failures, told, chance=0.9)
        while now < come:
            pace.wait("one that asks all the time", now, 0.5)
            now += 0.1
    assert (told, failures) == (None, 6)


def test_an_instant_that_was_let_pass_is_forgotten() -> None:
    pace = Pace()
    pace.wait("a", 100.0, 0.5)
    assert pace.wait("b", 100.0, 0.5) == 1.0
    assert pace.wait("c", 100.0, 0.5) == 2.0
    assert pace.wait("d", 101.0 + GRACE_SECONDS, 0.5) is None
    assert len(pace) == 1


def test_no_more_instants_are_remembered_than_it_may_and_the_others_come_at_different_times() -> None:
    pace = Pace()
    told = [pace.wait(str(number), 100.0, number % 10 / 10) for number in range(10 * MOST)]
    assert len(pace) == MOST
    beyond = [each for each in told[MOST + 1 :] if each is not None]
    assert len(beyond) == 9 * MOST - 1
    assert (min(beyond), max(beyond)) == ((MOST + 1) / 2, (MOST + 1) * 1.9 / 2)
    # The queue goes on: the first who were told are let in, and their places are free.
    assert pace.wait("1", 101.0, 0.5) is None
    assert pace.wait("another", 101.0, 0.5) == MOST * APART_SECONDS
    assert len(pace) == MOST


def test_in_the_long_run_one_is_let_in_for_each_second() -> None:
    """However many addresses ask however often: bounded by the law, and nearly as many as there may be."""
    pace, let_in = Pace(), 0
    for n in range(10_000):
        let_in += pace.wait(str(n % 7), 100.0 + n / 100, 0.5) is None
    assert 95 <= let_in <= 100 + GRACE_SECONDS + 1
