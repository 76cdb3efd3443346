"""Tumbling windows: every record in exactly one batch, whatever the clocks say."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contract import Millis, Offset, Partition, PostId
from streams.windows import OVERDUE_WINDOWS, Batch, Record, Windows, parts

SIZE = 5000
P0, P1 = Partition(0), Partition(1)


def windows(*partitions: int) -> Windows:
    made = Windows(Millis(SIZE))
    made.assign(map(Partition, partitions))
    return made


def add(to: Windows, partition: int, offset: int, timestamp: int, now: int | None = None) -> None:
    to.add(
        partition=Partition(partition),
        offset=Offset(offset),
        timestamp=Millis(timestamp),
        now=Millis(timestamp if now is None else now),
        post=PostId(offset + 1),
        attempt=0,
    )


def close(of: Windows, now: int, read: Iterable[int] = ()) -> list[tuple[int, list[tuple[int, int]]]]:
    """Return all batches that are closed now, as (window, [(partition, offset)])."""
    batches = []
    while batch := of.close(Millis(now), frozenset(map(Partition, read))):
        batches.append((int(batch.window), [(int(r.partition), int(r.offset)) for r in batch.records]))
    return batches


def test_a_window_is_aligned_and_its_end_belongs_to_the_next() -> None:
    w = windows(0)
    add(w, 0, 0, 4999)
    add(w, 0, 1, 5000)
    assert close(w, 10_000, [0]) == [(0, [(0, 0)]), (5000, [(0, 1)])]


def test_a_window_closes_when_the_clock_has_passed_its_end_and_not_before() -> None:
    w = windows(0)
    add(w, 0, 0, 1000)
    assert close(w, 4999, [0]) == []
    assert close(w, 5000, [0]) == [(0, [(0, 0)])]


def test_a_window_waits_for_a_partition_that_is_neither_past_its_end_nor_read() -> None:
    w = windows(0, 1)
    add(w, 0, 0, 1000)
    assert close(w, 6000, [0]) == []
    assert w.lagging(Millis(6000), {P0}) == [P1]
    add(w, 1, 0, 2000, now=6000)
    assert close(w, 6000, [0]) == []
    add(w, 1, 1, 5000, now=6000)
    assert w.lagging(Millis(6000), {P0}) == []
    assert close(w, 6000, [0]) == [(0, [(0, 0), (1, 0)])]


def test_nobody_lags_before_the_window_is_over() -> None:
    w = windows(0, 1)
    assert w.lagging(Millis(4000), ()) == []
    add(w, 0, 0, 1000)
    assert w.lagging(Millis(4000), ()) == []


def test_silence_closes_a_window() -> None:
    w = windows(0, 1)
    add(w, 0, 0, 1000)
    assert close(w, 5000, [0, 1]) == [(0, [(0, 0)])]


def test_partitions_close_together_in_the_order_of_event_time_partition_and_offset() -> None:
    w = windows(0, 1)
    add(w, 1, 0, 100)
    add(w, 0, 0, 200)
    add(w, 1, 1, 200)
    add(w, 0, 1, 150, now=300)
    assert close(w, 5000, [0, 1]) == [(0, [(1, 0), (0, 0), (0, 1), (1, 1)])]


def test_a_record_stamped_in_the_future_counts_as_now() -> None:
    w = windows(0)
    add(w, 0, 0, 3_600_000, now=1000)
    add(w, 0, 1, 1100)
    assert close(w, 5000, [0]) == [(0, [(0, 0), (0, 1)])]


def test_a_record_stamped_in_the_past_counts_to_its_partitions_present() -> None:
    w = windows(0)
    add(w, 0, 0, 3_600_000)
    add(w, 0, 1, 0, now=3_600_001)
    assert close(w, 3_605_000, [0]) == [(3_600_000, [(0, 0), (0, 1)])]


def test_a_record_for_a_closed_window_counts_to_the_first_open_one() -> None:
    w = windows(0, 1)
    add(w, 0, 0, 1000)
    assert close(w, 5100, [0, 1]) == [(0, [(0, 0)])]
    add(w, 1, 0, 4990, now=5200)
    assert close(w, 9999, [0, 1]) == []
    assert close(w, 10_000, [0, 1]) == [(5000, [(1, 0)])]


def test_a_window_long_over_is_taken_although_a_partition_lags_and_nothing_is_lost_by_it() -> None:
    w = windows(0, 1)
    overdue = SIZE + OVERDUE_WINDOWS * SIZE
    add(w, 0, 0, 1000)
    assert close(w, overdue - 1) == []
    assert close(w, overdue) == [(0, [(0, 0)])]
    # The partition that lagged comes to that window, which was not closed by it.
    add(w, 1, 0, 1500, now=overdue)
    assert close(w, overdue) == [(0, [(1, 0)])]


def test_under_pressure_the_oldest_window_goes_with_what_it_has_and_the_rest_follows() -> None:
    w = windows(0)
    add(w, 0, 0, 1000)
    add(w, 0, 1, 6000)
    assert w.take() == Batch(Millis(0), [Record(Millis(1000), P0, Offset(0), PostId(1), 0)])
    add(w, 0, 2, 6001)
    assert close(w, 10_000, [0]) == [(5000, [(0, 1), (0, 2)])]
    assert w.take() is None


def test_after_a_rebalance_nothing_of_before_is_left() -> None:
    w = windows(0, 1)
    add(w, 0, 0, 6000)
    close(w, 20_000, [0, 1])
    add(w, 0, 1, 21_000)
    w.clear()
    assert w.assigned == frozenset()
    w.assign([P1])
    assert close(w, 60_000, [1]) == []
    add(w, 1, 0, 1000, now=60_000)
    assert close(w, 60_000, [1]) == [(0, [(1, 0)])]


def test_a_batch_is_split_in_order() -> None:
    records = [Record(Millis(0), P0, Offset(n), PostId(n), 0) for n in range(5)]
    assert list(parts(Batch(Millis(7), records), 2)) == [
        Batch(Millis(7), records[:2]),
        Batch(Millis(7), records[2:4]),
        Batch(Millis(7), records[4:]),
    ]


log = st.lists(st.integers(0, 60_000), max_size=30)


@given(log, log, st.data())
def test_every_record_is_in_exactly_one_batch_and_batches_are_stretches_of_the_log(
    first: list[int], second: list[int], data: st.DataObject
) -> None:
    """Whatever the timestamps, the interleaving, the clock and the partitions' progress."""
    w = windows(0, 1)
    logs = {0: first, 1: second}
    offsets = {0: 0, 1: 0}
    now = 0
    batches: list[Batch] = []

    def drain(read: frozenset[Partition]) -> None:
        while batch := w.close(Millis(now), read):
            batches.append(batch)

    while any(offsets[p] < len(logs[p]) for p in logs):
        now += data.draw(st.integers(0, 4000))
        partition = data.draw(st.sampled_from([p for p in logs if offsets[p] < len(logs[p])]))
        add(w, partition, offsets[partition], logs[partition][offsets[partition]], now=now)
        offsets[partition] += 1
        read = frozenset(Partition(p) for p in logs if offsets[p] == len(logs[p]))
        if data.draw(st.booleans()):
            drain(read)
        elif data.draw(st.booleans()) and (batch := w.take()):
            batches.append(batch)
    now += 10 * SIZE
    drain(frozenset((P0, P1)))

    for p, timestamps in logs.items():
        placed = [[int(r.offset) for r in batch.records if r.partition == p] for batch in batches]
        assert [offset for batch in placed for offset in batch] == list(range(len(timestamps)))
    for batch in batches:
        assert batch.records == sorted(batch.records)
        assert batch.window % SIZE == 0
        assert all(r.event_time < batch.window + SIZE for r in batch.records)


@pytest.mark.parametrize("window", [1, 999, 5000])
def test_windows_of_any_length_tile_the_time(window: int) -> None:
    w = Windows(Millis(window))
    w.assign([P0])
    for offset, timestamp in enumerate(range(0, 20_000, 500)):
        add(w, 0, offset, timestamp)
    starts = [batch[0] for batch in close(w, 100_000, [0])]
    assert starts == sorted({timestamp - timestamp % window for timestamp in range(0, 20_000, 500)})
