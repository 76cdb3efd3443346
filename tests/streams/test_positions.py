"""Where a partition is read: each offset once, in order, and no jump without a second look."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from streams.contract import Offset, Partition
from streams.positions import Passed, Positions, Verdict

P0, P1 = Partition(0), Partition(1)


def positions(begin: int = 5) -> Positions:
    made = Positions()
    made.begin({P0: Offset(begin)})
    return made


def passed(first: int | None, end: int | None, position: int) -> Passed:
    return Passed(None if first is None else Offset(first), None if end is None else Offset(end), Offset(position))


def judge(of: Positions, offset: int, first: int | None = 5) -> Verdict:
    return of.judge(P0, Offset(offset), passed(first, None, 0))


def test_offsets_are_taken_in_order_and_once() -> None:
    p = positions()
    assert [judge(p, offset) for offset in (5, 6, 6, 4, 7)] == [
        Verdict.TAKE, Verdict.TAKE, Verdict.DROP, Verdict.DROP, Verdict.TAKE,
    ]  # fmt: skip
    assert p.next(P0) == 8


def test_a_partition_that_is_not_ours_is_not_read() -> None:
    p = positions()
    assert p.judge(P1, Offset(0), None) is Verdict.DROP
    assert P1 not in p
    assert list(p) == [P0]


def test_a_jump_is_read_again_and_what_was_under_way_is_stale() -> None:
    p = positions()
    assert judge(p, 9) is Verdict.READ_AGAIN
    assert p.to_seek() == {P0: 5}
    assert judge(p, 10) is Verdict.DROP
    p.sought(P0)
    assert p.to_seek() == {}
    # Nothing was handed over since, or not this.
    assert p.judge(P0, Offset(11), None) is Verdict.DROP
    assert judge(p, 12, first=5) is Verdict.DROP
    assert judge(p, 5, first=5) is Verdict.TAKE
    assert judge(p, 6, first=5) is Verdict.TAKE


def test_a_jump_that_comes_again_is_a_hole() -> None:
    p = positions()
    judge(p, 9)
    p.sought(P0)
    assert judge(p, 9, first=9) is Verdict.HOLE
    assert p.next(P0) == 10
    # The next jump of this log is looked into again, as long as nobody says that it has holes.
    assert judge(p, 20, first=9) is Verdict.READ_AGAIN


def test_of_a_hole_that_the_second_reading_finds_smaller_only_that_is_gone_past() -> None:
    p = positions()
    judge(p, 9)
    p.sought(P0)
    assert judge(p, 7, first=7) is Verdict.HOLE
    assert judge(p, 9, first=7) is Verdict.READ_AGAIN


def test_a_log_that_has_holes_is_not_read_again() -> None:
    p = positions()
    assert not p.has_holes(P0)
    assert p.has_holes(P0)
    assert judge(p, 9) is Verdict.HOLE
    assert p.look(P0, passed(5, 10, 15)) == 10
    assert p.next(P0) == 15
    p.begin({P0: Offset(5)})
    assert judge(p, 9) is Verdict.READ_AGAIN


def test_where_the_consumer_went_without_a_record_twice_there_is_none() -> None:
    """The marker of a transaction at the log's end, or what retention took up to the end."""
    p = positions()
    assert p.look(P0, None) is None
    assert p.look(P0, passed(None, None, 5)) is None
    assert p.look(P0, passed(None, None, 8)) is None
    assert p.to_seek() == {P0: 5}
    assert p.look(P0, passed(None, None, 8)) is None
    p.sought(P0)
    assert p.look(P0, None) is None
    assert p.look(P0, passed(None, None, 8)) == 5
    assert p.next(P0) == 8
    assert p.to_seek() == {}


def test_what_was_handed_over_and_is_not_taken_yet_is_no_hole() -> None:
    p = positions()
    assert p.look(P0, passed(5, 8, 8)) is None
    assert p.to_seek() == {}


def test_a_record_that_comes_while_the_end_is_looked_into_is_taken() -> None:
    p = positions()
    p.look(P0, passed(None, None, 8))
    assert judge(p, 8, first=8) is Verdict.HOLE
    assert p.next(P0) == 9


def test_seeking_a_partition_that_was_revoked_meanwhile_means_nothing() -> None:
    p = positions()
    judge(p, 9)
    p.begin({P1: Offset(0)})
    p.sought(P0)
    assert p.to_seek() == {}


class Consumer:
    """Hands over a log's records from its position on, and may lose some of them once."""

    def __init__(self, log: Iterable[int], losses: int) -> None:
        self.log = sorted(log)
        self.losses = losses
        self.passed = passed(None, None, 0)
        self.under_way: list[int] = []

    def fetch(self, count: int, lose: int) -> None:
        lose = min(lose, self.losses)
        self.losses -= lose
        some = [offset for offset in self.log if offset >= self.passed.position][: lose + count]
        position, some = Offset(some[-1] + 1 if some else END), some[lose:]
        self.under_way += some
        first, end, _ = self.passed
        if some:
            first, end = Offset(some[0]) if first is None else first, Offset(some[-1] + 1)
        self.passed = Passed(first, end, position)

    def take(self, to: Positions, count: int) -> list[int]:
        some, self.under_way = self.under_way[:count], self.under_way[count:]
        verdicts = [to.judge(P0, Offset(offset), self.passed) for offset in some]
        return [o for o, verdict in zip(some, verdicts, strict=True) if verdict in {Verdict.TAKE, Verdict.HOLE}]

    def seek(self, where: Positions) -> None:
        for offset in where.to_seek().values():
            self.passed = passed(None, None, offset)
            where.sought(P0)


END = 30
holes = st.tuples(st.sets(st.integers(0, END - 1)), st.just(0))
losses = st.tuples(st.just(set(range(END))), st.just(1))


@given(
    st.one_of(holes, losses), st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(0, 2)), max_size=80)
)
def test_every_record_is_taken_once_in_order_whatever_a_consumer_loses_and_whatever_holes_there_are(
    log: tuple[set[int], int], steps: list[tuple[int, int, int]]
) -> None:
    """Also what was under way before it is sought, which may come late."""
    p, consumer = positions(0), Consumer(*log)
    taken: list[int] = []
    steps += [step for _ in range(3 * END) for step in ((0, 3, 0), (1, 100, 0), (3, 0, 0), (2, 0, 0))]
    for step, count, lose in steps:
        if step == 0:
            consumer.fetch(count, lose)
        elif step == 1:
            taken += consumer.take(p, count)
        elif step == 2:
            consumer.seek(p)
        else:
            p.look(P0, consumer.passed)
    assert taken == sorted(log[0])
    assert p.next(P0) == END
