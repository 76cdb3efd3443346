"""Who has the loop when, with work that is nothing but a clock that goes on."""

from edge.fanout.rounds import BEHIND_SECONDS, HEAD_SECONDS, PAUSE_SHARE, TURNS, Rounds
from tests.edge.kit.lines import Turns


class Bench:
    """Two heaps of work, each piece of which takes its time."""

    def __init__(self, head: int = 0, behind: int = 0, seconds: float = 0.4 * BEHIND_SECONDS) -> None:
        self.turns = Turns()
        self.left = {"head": head, "behind": behind}
        self.seconds = seconds
        self.done: list[str] = []
        self.rounds = Rounds(self.turns, head=lambda: self.work("head"), behind=lambda: self.work("behind"))

    def work(self, kind: str) -> bool:
        """Do a piece if there is one."""
        if not self.left[kind]:
            return False
        self.left[kind] -= 1
        self.turns.now += self.seconds
        self.done.append(kind)
        return True

    def turn(self, seconds: float = 0.0) -> list[str]:
        """Turn once, after what others need; return what was done."""
        self.turns.now += seconds
        before = len(self.done)
        self.turns.turn()
        return self.done[before:]


def test_without_work_nothing_is_due() -> None:
    bench = Bench()
    bench.rounds.now()
    assert (bench.done, list(bench.turns.due)) == ([], [])


def test_work_for_the_head_goes_first_and_the_loop_turns_after_a_slice() -> None:
    """All of it, before anything else is done."""
    bench = Bench(head=30, behind=1, seconds=HEAD_SECONDS / 10)
    bench.rounds.now()
    slices = [len(bench.done)]
    while bench.left["head"]:
        assert bench.left["behind"] == 1
        slices.append(len(bench.turn()))
    assert max(slices) <= 12
    bench.turns.rest()
    assert bench.done == ["head"] * 30 + ["behind"]


def test_other_work_has_a_slice_and_then_the_loop_turns_many_times() -> None:
    bench = Bench(behind=20)
    bench.rounds.now()
    assert bench.done == ["behind"] * 3
    assert [bench.turn() for _ in range(TURNS)] == [[]] * TURNS
    assert bench.turn() == ["behind"] * 3


def test_a_piece_that_takes_long_is_a_slice() -> None:
    bench = Bench(behind=2, seconds=3 * BEHIND_SECONDS)
    bench.rounds.now()
    assert bench.done == ["behind"]


def test_where_turns_are_long_other_work_is_done_after_a_pause() -> None:
    """Handshakes by the dozen would starve it otherwise."""
    bench = Bench(behind=20)
    bench.rounds.now()
    pause = PAUSE_SHARE * 3 * bench.seconds
    assert bench.turn(pause / 2) == []
    assert bench.turn(pause / 2) == ["behind"] * 3


def test_after_a_small_piece_other_work_waits_for_a_long_turn_and_not_for_several() -> None:
    """A client that has much to catch up with has a piece whenever it has taken the one before."""
    bench = Bench(behind=1, seconds=0.1 * BEHIND_SECONDS)
    bench.rounds.now()
    bench.turn(BEHIND_SECONDS)
    bench.left["behind"] = 1
    bench.rounds.soon()
    assert bench.turn(BEHIND_SECONDS) == ["behind"]


def test_work_for_the_head_is_done_while_the_loop_turns_for_others() -> None:
    """Asked for at once, or not."""
    bench = Bench(behind=20)
    bench.rounds.now()
    bench.left["head"] = 1
    bench.rounds.now()
    assert bench.done == ["behind"] * 3
    bench.rounds.head()
    assert bench.done[3:] == ["head"]
    bench.left["head"] = 1
    assert bench.turn() == ["head"]


def test_work_that_is_asked_for_several_times_is_due_once() -> None:
    """And not before the next turn, if that is what was asked for."""
    bench = Bench(behind=1)
    for _ in range(3):
        bench.rounds.soon()
    bench.rounds.now()
    assert (bench.done, len(bench.turns.due)) == ([], 1)
    bench.turns.rest()
    assert bench.done == ["behind"]


def test_other_work_that_comes_one_by_one_does_not_fill_a_turn() -> None:
    """Newcomers, for instance: each asks for its piece, and there is one slice for all of them."""
    bench = Bench()
    for _ in range(10):
        bench.left["behind"] += 1
        bench.rounds.now()
    assert bench.done == ["behind"]
    assert bench.turn(BEHIND_SECONDS * 10) == ["behind"] * 3
