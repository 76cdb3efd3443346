"""Tumbling windows: every record in exactly one batch, whatever the clocks say; what is live goes first."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contract import Millis, Offset, Partition, PostId
from streams.event_times import FIRST_MS, LIVE_MS
from streams.windows import CLOSE_MS, OVERDUE_IDS, Batch, Record, Windows

SIZE = 5000
HOUR = 3_600_000
P0, P1, P2 = Partition(0), Partition(1), Partition(2)


def windows(*partitions: int, max_batch: int = 20_000, since: int = 0, size: int = SIZE) -> Windows:
    made = Windows(Millis(size), max_batch)
    made.assign(map(Partition, partitions), Millis(since))
    return made


def add(
    to: Windows,
    partition: int,
    offset: int,
    timestamp: int,
    *,
    now: int | None = None,
    ids: int = 1,
    attempt: int = 0,
) -> None:
    to.add(
        partition=Partition(partition),
        offset=Offset(offset),
        timestamp=Millis(timestamp),
        now=Millis(timestamp if now is None else now),
        ids=[PostId(offset + 1 + place) for place in range(ids)],
        attempt=attempt,
    )


def take(
    of: Windows, now: int, read: Iterable[int] = (), absent: Iterable[int] = (), pressed: bool = False
) -> list[Batch]:
    """Take all batches that there are now."""
    batches = []
    arguments = {"read": frozenset(map(Partition, read)), "absent": frozenset(map(Partition, absent))}
    while batch := of.next_batch(Millis(now), **arguments, pressed=pressed):
        batches.append(batch)
    return batches


def places(batches: Sequence[Batch]) -> list[tuple[int, list[tuple[int, int]]]]:
    """Return batches as (window, [(partition, offset)])."""
    return [(int(b.window), [(int(r.partition), int(r.offset)) for r in b.records]) for b in batches]


def close(
    of: Windows, now: int, read: Iterable[int] = (), absent: Iterable[int] = ()
) -> list[tuple[int, list[tuple[int, int]]]]:
    return places(take(of, now, read, absent))


# -- law 3: which window a record is in ----------------------------------------------------------------


def test_a_window_is_aligned_and_its_end_belongs_to_the_next() -> None:
    w = windows(0)
    add(w, 0, 0, 4999)
    add(w, 0, 1, 5000)
    assert close(w, 5000, [0]) == [(0, [(0, 0)])]
    assert close(w, 10_000, [0]) == [(5000, [(0, 1)])]


def test_a_clock_ahead_opens_no_window_of_the_future() -> None:
    w = windows(0)
    add(w, 0, 0, HOUR, now=1000)
    assert take(w, 5000, [0]) == [Batch(Millis(0), [Record(Millis(1000), P0, Offset(0), 0, PostId(1), 0)])]


def test_event_time_never_runs_backwards_in_a_partition_and_partitions_do_not_share_it() -> None:
    w = windows(0, 1)
    add(w, 0, 0, 7000)
    add(w, 0, 1, 1000, now=7100)
    add(w, 1, 0, 6000, now=7100)
    [batch] = take(w, 10_000, [0, 1])
    assert [(r.event_time, r.partition, r.offset) for r in batch.records] == [
        (6000, P1, 0),
        (7000, P0, 0),
        (7000, P0, 1),
    ]
    assert w.newest_event(P0) == 7000


def test_the_ids_of_a_record_are_in_their_place() -> None:
    w = windows(0)
    add(w, 0, 5, 1000, ids=3)
    [batch] = take(w, 5000, [0])
    assert [(r.offset, r.place, r.post) for r in batch.records] == [(5, 0, 6), (5, 1, 7), (5, 2, 8)]
    assert w.held == 0


def test_a_record_that_comes_too_late_counts_to_the_first_open_window() -> None:
    w = windows(0)
    add(w, 0, 0, 1000)
    assert close(w, 5000, [0]) == [(0, [(0, 0)])]
    add(w, 0, 1, 4900, now=5100)
    assert close(w, 5200, [0]) == []
    assert close(w, 10_000, [0]) == [(5000, [(0, 1)])]


def test_a_retry_counts_to_the_window_of_now_and_raises_nothing() -> None:
    """M11: whatever its timestamp; and what follows it in a backlog stays in its own windows."""
    w = windows(0, since=HOUR)
    add(w, 0, 0, 1000, now=HOUR)
    add(w, 0, 1, 2000, now=HOUR + 2500, attempt=1)
    add(w, 0, 2, 3000, now=HOUR + 2600)
    assert w.newest_event(P0) == 3000
    assert places(take(w, HOUR + 2700, [0])) == [(0, [(0, 0), (0, 2)])]
    assert take(w, HOUR + 4999, [0]) == []
    assert take(w, HOUR + 5000, [0]) == [
        Batch(Millis(HOUR), [Record(Millis(HOUR + 2500), P0, Offset(1), 0, PostId(2), 1)])
    ]


def test_a_retry_of_a_clock_that_was_ahead_waits_for_the_next_window_and_no_longer() -> None:
    w = windows(0)
    add(w, 0, 0, HOUR, now=1000, attempt=2)
    assert close(w, 4999, [0]) == []
    assert close(w, 5000, [0]) == [(0, [(0, 0)])]


# -- law 4: when a window closes ------------------------------------------------------------------------


def test_a_window_closes_when_the_clock_has_passed_its_end_and_not_before() -> None:
    w = windows(0)
    add(w, 0, 0, 1000)
    assert close(w, 4999, [0]) == []
    assert close(w, 5000, [0]) == [(0, [(0, 0)])]


def test_a_window_waits_for_a_partition_in_the_middle_of_it_until_that_is_past_its_end() -> None:
    w = windows(0, 1)
    add(w, 0, 0, 1000)
    add(w, 1, 0, 2000)
    assert close(w, 5000, [0]) == []
    add(w, 1, 1, 5100)
    assert close(w, 5200, [0]) == [(0, [(0, 0), (1, 0)])]


def test_a_live_window_waits_for_nobody_longer_than_law_4_allows() -> None:
    w = windows(0, 1)
    add(w, 0, 0, 1000)
    add(w, 1, 0, 2000)
    assert close(w, 5000 + CLOSE_MS - 1, [0]) == []
    assert close(w, 5000 + CLOSE_MS, [0]) == [(0, [(0, 0), (1, 0)])]
    # Nothing was closed for the partition that was waited for: its record is overdue.
    assert close(w, 6000, [0]) == []
    add(w, 1, 1, 4000, now=6100)
    assert take(w, 6200, [0, 1]) == [
        Batch(Millis(0), [Record(Millis(4000), P1, Offset(1), 0, PostId(2), 0)], overdue=True)
    ]


def test_no_window_waits_for_a_partition_that_is_behind_it() -> None:
    w = windows(0, 1)
    add(w, 1, 0, 1000)
    add(w, 0, 0, 1500)
    add(w, 0, 1, 8000)
    assert take(w, 6000)
    # Partition 1 is not read to its end, and its newest record is of the window before.
    assert close(w, 10_000, [0]) == [(5000, [(0, 1)])]


def test_no_window_waits_for_a_partition_without_a_record() -> None:
    w = windows(0, 1)
    add(w, 0, 0, 1000)
    assert close(w, 5000, [0]) == [(0, [(0, 0)])]


def test_after_an_assignment_each_partition_has_time_to_bring_its_first_record() -> None:
    """So that a worker that was away for a minute completes what it finds in order."""
    w = windows(0, 1, since=HOUR)
    add(w, 0, 0, 1000, now=HOUR)
    add(w, 0, 1, 6000, now=HOUR)
    assert close(w, HOUR + FIRST_MS - 1, [0]) == []
    assert close(w, HOUR + FIRST_MS, [0]) == [(0, [(0, 0), (0, 1)])]


def test_no_window_waits_for_a_partition_that_is_absent() -> None:
    w = windows(0, 1)
    add(w, 0, 0, 1000)
    add(w, 1, 0, 2000)
    assert close(w, 5000, [0], absent=[1]) == [(0, [(0, 0), (1, 0)])]


def test_windows_close_in_their_order() -> None:
    w = windows(0, 1, size=100)
    add(w, 0, 0, 50)
    add(w, 1, 0, 150)
    # Partition 0 is in the middle of the first; the second waits for the first, not for the partition.
    assert close(w, 210, [1]) == []
    assert close(w, 850, [1]) == [(0, [(0, 0), (1, 0)])]


# -- law 5: live and overdue ------------------------------------------------------------------------------


def test_what_is_overdue_is_completed_together_in_the_order_of_its_event_times() -> None:
    w = windows(0, 1, since=HOUR)
    for offset in range(100):
        add(w, offset % 2, offset, 1000 * offset, now=HOUR)
    [batch] = take(w, HOUR, [0, 1])
    assert batch.overdue
    assert batch.window == 0
    assert [r.event_time for r in batch.records] == [1000 * offset for offset in range(100)]


def test_a_backlog_is_read_on_in_whole_windows() -> None:
    """The window that a partition is in the middle of waits until the partition is past it."""
    w = windows(0, since=HOUR)
    add(w, 0, 0, 1000, now=HOUR)
    add(w, 0, 1, 6000, now=HOUR)
    assert close(w, HOUR) == [(0, [(0, 0)])]
    add(w, 0, 2, 7000, now=HOUR + 100)
    add(w, 0, 3, 11_000, now=HOUR + 100)
    assert close(w, HOUR + 200) == [(5000, [(0, 1), (0, 2)])]
    assert close(w, HOUR + 300, [0]) == [(10_000, [(0, 3)])]


def test_a_live_window_goes_before_what_is_overdue() -> None:
    w = windows(0, 1, since=HOUR)
    add(w, 0, 0, 1000, now=HOUR)
    add(w, 0, 1, 9000, now=HOUR)
    add(w, 1, 0, HOUR + 1000)
    batches = take(w, HOUR + 5000, [1])
    assert [(b.overdue, b.window) for b in batches] == [(False, HOUR), (True, 0)]


@pytest.mark.parametrize(("live", "sizes"), [(True, [OVERDUE_IDS] * 6), (False, [20_000, 10_000])])
def test_beside_a_live_window_an_overdue_batch_is_small(live: bool, sizes: list[int]) -> None:
    w = windows(0, 1, since=HOUR)
    for number in range(30):
        add(w, 0, number, 100 * number, now=HOUR, ids=1000)
    if live:
        add(w, 1, 0, HOUR)
    assert [len(b.records) for b in take(w, HOUR + 100, [0, 1])] == sizes
    assert w.held == live


def test_a_live_window_that_is_due_goes_first_after_each_overdue_batch() -> None:
    w = windows(0, 1, since=HOUR)
    for number in range(30):
        add(w, 0, number, 100 * number, now=HOUR, ids=1000)
    add(w, 1, 0, HOUR)
    read = frozenset((P0, P1))
    assert w.next_batch(Millis(HOUR + 4900), read=read).overdue  # type: ignore[union-attr]
    # The statement took long: the window was over meanwhile, and counts as live although that is some time ago.
    live = w.next_batch(Millis(HOUR + 15_000), read=read)
    assert live == Batch(Millis(HOUR), [Record(Millis(HOUR), P1, Offset(0), 0, PostId(1), 0)])


def test_windows_that_ended_during_one_statement_are_completed_together() -> None:
    w = windows(0)
    for offset, timestamp in enumerate((1000, 6000, 11_000)):
        add(w, 0, offset, timestamp)
    assert close(w, 16_000, [0]) == [(0, [(0, 0), (0, 1), (0, 2)])]


def test_after_a_long_standstill_the_newest_windows_go_first() -> None:
    w = windows(0, max_batch=10)
    for offset, timestamp in enumerate(range(1000, 26_000, 5000)):
        add(w, 0, offset, timestamp, ids=4)
    batches = take(w, 60_000, [0])
    assert [(b.overdue, b.window, len(b.records)) for b in batches] == [
        (False, 15_000, 8), (True, 0, 10), (True, 10_000, 2),
    ]  # fmt: skip


def test_a_live_window_larger_than_a_batch_is_completed_in_parts_and_nothing_comes_between() -> None:
    w = windows(0, 1, max_batch=10, since=HOUR)
    add(w, 1, 0, 1000, now=HOUR)
    add(w, 0, 0, HOUR, ids=25)
    read = frozenset((P0, P1))
    taken = [w.next_batch(Millis(HOUR + 5000 + pause), read=read) for pause in (0, 9000, 18_000, 27_000)]
    assert [(b.overdue, len(b.records)) for b in taken if b] == [(False, 10), (False, 10), (False, 5), (True, 1)]


def test_a_window_under_pressure_is_taken_with_what_it_has_and_stays_open() -> None:
    w = windows(0)
    add(w, 0, 0, 1000)
    add(w, 0, 1, 6000)
    assert places(take(w, 6000, pressed=True)) == [(0, [(0, 0)]), (5000, [(0, 1)])]
    add(w, 0, 2, 6100)
    assert close(w, 6200, [0]) == []
    assert close(w, 10_000, [0]) == [(5000, [(0, 2)])]


def test_who_is_behind_the_live_flow() -> None:
    w = windows(0, 1, 2, since=HOUR)
    add(w, 0, 0, 1000, now=HOUR)
    add(w, 1, 0, HOUR - 500, now=HOUR)
    assert w.behind(Millis(HOUR), read={P2}) == {P0}
    assert w.behind(Millis(HOUR + LIVE_MS), read={P2}) == {P0, P1}
    assert w.behind(Millis(HOUR), read=set()) == {P0, P2}


def test_what_is_held_live_and_overdue_is_counted_in_ids() -> None:
    w = windows(0, 1, since=HOUR)
    add(w, 0, 0, 1000, now=HOUR, ids=3)
    add(w, 1, 0, HOUR, ids=4)
    assert w.next_batch(Millis(HOUR), read=frozenset((P1,))) is None
    assert (w.held, w.held_overdue) == (7, 3)


# -- clocks and rebalances --------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_holds_nothing_until_it_is_there_again() -> None:
    w = windows(0, 1)
    add(w, 1, 0, HOUR - 6000)
    assert take(w, HOUR, [0, 1])
    add(w, 0, 0, HOUR + 1000)
    add(w, 0, 1, 2000, now=2000)
    add(w, 1, 1, 2100, now=2100)
    assert [r.event_time for b in take(w, 5000, [0, 1]) for r in b.records] == [2000, 2000, 2100]
    assert w.held == 0


def test_after_a_rebalance_nothing_of_before_is_left() -> None:
    w = windows(0, 1)
    add(w, 0, 0, 6000)
    assert take(w, 20_000, [0, 1])
    add(w, 0, 1, 21_000)
    w.clear()
    assert w.assigned == frozenset()
    assert w.held == 0
    w.assign([P0], Millis(0))
    assert w.newest_event(P0) is None
    assert close(w, 1000, [0]) == []
    # W5: neither the largest event time nor what was closed is remembered.
    add(w, 0, 0, 1000, now=1000)
    assert take(w, 5000, [0]) == [Batch(Millis(0), [Record(Millis(1000), P0, Offset(0), 0, PostId(1), 0)])]


def test_a_new_assignment_drops_what_was_held() -> None:
    w = windows(0)
    add(w, 0, 0, 1000)
    w.assign([P0, P1], Millis(0))
    assert w.assigned == {P0, P1}
    assert close(w, 60_000, [0, 1]) == []


@pytest.mark.parametrize("window", [1, 999, 5000])
def test_windows_of_any_length_tile_the_time(window: int) -> None:
    w = windows(0, size=window)
    starts = []
    for offset, timestamp in enumerate(range(0, 20_000, 500)):
        starts += [int(b.window) for b in take(w, timestamp, [0])]
        add(w, 0, offset, timestamp)
    starts += [int(b.window) for b in take(w, 25_000, [0])]
    assert starts == sorted({timestamp - timestamp % window for timestamp in range(0, 20_000, 500)})


log = st.lists(st.tuples(st.integers(0, 60_000), st.integers(1, 4), st.integers(0, 9)), max_size=25)


@given(log, log, st.integers(1, 9), st.data())
def test_every_id_is_in_exactly_one_batch_in_order_and_no_live_window_is_late(
    first: list[tuple[int, int, int]], second: list[tuple[int, int, int]], max_batch: int, data: st.DataObject
) -> None:
    """Whatever the timestamps, the interleaving, the clock, its steps back, and the partitions' progress."""
    w = windows(0, 1, max_batch=max_batch)
    logs, offsets = {0: first, 1: second}, {0: 0, 1: 0}
    now = data.draw(st.sampled_from([0, HOUR]))
    batches: list[Batch] = []

    def drain(*, pressed: bool = False) -> None:
        read = frozenset(Partition(p) for p in logs if offsets[p] == len(logs[p]))
        while batch := w.next_batch(Millis(now), read=read, pressed=pressed):
            assert 0 < len(batch.records) <= max_batch
            assert batch.records == sorted(batch.records)
            assert batch.window % SIZE == 0
            batches.append(batch)
        # All that is left is open, or in a window that a partition is in the middle of.
        assert not pressed or w.held == 0

    while any(offsets[p] < len(logs[p]) for p in logs):
        now += data.draw(st.integers(-2000, 4000))
        partition = data.draw(st.sampled_from([p for p in logs if offsets[p] < len(logs[p])]))
        timestamp, ids, retry = logs[partition][offsets[partition]]
        add(w, partition, offsets[partition], timestamp, now=max(0, now), ids=ids, attempt=int(retry == 0))
        now = max(0, now)
        offsets[partition] += 1
        if data.draw(st.booleans()):
            drain(pressed=data.draw(st.integers(0, 5)) == 0)
    now += 10 * SIZE
    drain()

    placed = [(int(r.partition), int(r.offset), r.place) for batch in batches for r in batch.records]
    assert len(placed) == len(set(placed))
    assert set(placed) == {
        (p, offset, place) for p in logs for offset, (_, ids, _) in enumerate(logs[p]) for place in range(ids)
    }


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 30)), max_size=60), st.integers(0, 600))
def test_a_live_post_is_in_the_next_statement_after_its_window_and_a_second(
    gaps: list[tuple[int, int]], statement: int
) -> None:
    """Law 5, beside a backlog that has no end: only its own statement and the one under way come between."""
    w = windows(0, 1, max_batch=100, since=HOUR)
    now, backlog, free = HOUR, 0, HOUR
    due: dict[int, int] = {}
    for offset, (gap, ids) in enumerate(gaps):
        for _ in range(ids):
            add(w, 0, backlog, 1000 * backlog, now=now)
            backlog += 1
        add(w, 1, offset, now)
        due[offset] = now + SIZE + 1000
        until = now + gap
        while now < until:
            now += 50
            if now >= free and now % 250 == 0 and (batch := w.next_batch(Millis(now), read={P1})):
                free = now + statement
                for record in batch.records:
                    if record.partition == P1:
                        assert now <= due.pop(int(record.offset)) + statement + 250
    assert all(now <= late + statement + 250 for late in due.values())
