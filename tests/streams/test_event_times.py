"""Event time never runs backwards in a partition, and says for which partitions a window waits."""

from hypothesis import given
from hypothesis import strategies as st

from streams.contract import Millis, Partition
from streams.event_times import FIRST_MS, LIVE_MS, EventTimes

SIZE = 5000
P0, P1 = Partition(0), Partition(1)


def event_times(since: int = 0) -> EventTimes:
    made = EventTimes(Millis(SIZE))
    made.assign([P0, P1], Millis(since))
    return made


def place(of: EventTimes, timestamp: int, now: int = 100_000) -> tuple[int, int]:
    return of.place(P0, Millis(timestamp), Millis(now))


def test_an_event_time_is_the_timestamp_between_the_largest_so_far_and_the_clock() -> None:
    times = event_times()
    assert [place(times, timestamp, now) for timestamp, now in ((7000, 8000), (6000, 8000), (90_000, 12_000))] == [
        (7000, 5000),
        (7000, 5000),
        (12_000, 10_000),
    ]
    assert (times.newest_event(P0), times.newest_event(P1)) == (12_000, None)


def test_a_retry_is_of_now_and_raises_nothing() -> None:
    times = event_times()
    place(times, 1000)
    assert times.place_retry(P0, Millis(52_000)) == (52_000, 50_000)
    assert times.newest_event(P0) == 1000
    times.close(Millis(60_000), {P0})
    assert times.place_retry(P0, Millis(52_000)) == (52_000, 60_000)


def test_only_for_partitions_that_are_read_to_their_end_something_is_closed() -> None:
    times = event_times()
    times.close(Millis(10_000), {P1})
    times.close(Millis(5000), {P1})
    assert place(times, 1000) == (1000, 0)
    assert times.place(P1, Millis(1000), Millis(11_000)) == (1000, 10_000)


def test_a_window_waits_for_a_partition_in_the_middle_of_it() -> None:
    times = event_times()
    place(times, 6000)
    now = FIRST_MS
    assert times.is_awaited(Millis(5000), now, read=(), absent=())
    assert not times.is_awaited(Millis(5000), now, read={P0}, absent=())
    assert not times.is_awaited(Millis(5000), now, read=(), absent={P0})
    assert not times.is_awaited(Millis(10_000), now, read=(), absent=())
    assert times.is_awaited(Millis(10_000), Millis(now - 1), read={P0}, absent=())
    assert not times.is_awaited(Millis(10_000), Millis(now - 1), read={P0, P1}, absent=())


def test_who_is_behind_and_whose_next_record_would_be() -> None:
    times = event_times()
    place(times, 6000)
    over = 10_000 + LIVE_MS
    assert times.behind(Millis(over - 1), read={P1}) == frozenset()
    assert times.behind(Millis(over), read={P1}) == {P0}
    assert times.behind(Millis(over), read={P0}) == {P1}
    assert not times.is_overdue(P0, Millis(1000), Millis(over - 1))
    assert times.is_overdue(P0, Millis(1000), Millis(over))
    assert not times.is_overdue(P0, Millis(10_000), Millis(over))
    assert P0 in times
    assert times.partitions == {P0, P1}


def test_a_clock_that_is_set_back_takes_everything_along() -> None:
    times = event_times(since=100_000)
    place(times, 99_000)
    times.close(Millis(95_000), {P1})
    times.set_back(Millis(12_000))
    assert place(times, 12_500, 12_600) == (12_500, 10_000)
    assert times.place(P1, Millis(12_500), Millis(12_600)) == (12_500, 10_000)
    assert times.is_awaited(Millis(0), Millis(12_000), read={P0}, absent=()) is False


@given(st.lists(st.tuples(st.integers(0, 60_000), st.integers(0, 2000), st.booleans()), max_size=40))
def test_windows_are_stretches_of_the_log(records: list[tuple[int, int, bool]]) -> None:
    times, now, before = event_times(), 0, (0, 0)
    for timestamp, passed, closes in records:
        now += passed
        if closes:
            times.close(times.window(Millis(now)), {P0})
        placed = place(times, timestamp, now)
        assert placed >= before
        assert placed[0] <= now
        assert placed[0] < placed[1] + SIZE
        before = placed
