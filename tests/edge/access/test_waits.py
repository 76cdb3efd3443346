"""Calls that are due after the same time: in order, a few in a turn, with one timer."""

from hypothesis import given
from hypothesis import strategies as st

from edge.access.waits import AT_ONCE, Waits
from tests.edge.kit.lines import Turns


class Called:
    """Something that waits: each is another one."""

    def __init__(self, name: int, calls: list[int]) -> None:
        self.name = name
        self.calls = calls

    def call(self) -> None:
        """Note that this was called."""
        self.calls.append(self.name)


@given(st.lists(st.tuples(st.sampled_from(["begin", "end", "pass"]), st.integers(0, 4))))
def test_each_that_has_waited_for_so_long_is_called_once(acts: list[tuple[str, int]]) -> None:
    """Not before, and not when it has ended; who begins while it waits waits no longer for that."""
    turns, waits, calls, expected = Turns(), Waits(3), list[int](), list[int]()
    ones = [Called(name, calls) for name in range(5)]
    due: dict[int, float] = {}
    for act, number in acts:
        match act:
            case "begin":
                waits.begin(ones[number].call, turns)
                due.setdefault(number, turns.now + 3)
            case "end":
                waits.end(ones[number].call)
                due.pop(number, None)
            case _:
                turns.now += number
                turns.turn()
                over = [name for name, when in due.items() if when <= turns.now]
                expected += over
                for name in over:
                    del due[name]
        assert calls == expected
        assert len(waits) == len(due)
        assert len(turns.alarms) <= 1
    turns.now += 3
    turns.turn()
    turns.now += 3
    turns.turn()
    # Nothing is kept, and no timer is set, where nobody waits.
    assert (len(waits), turns.alarms) == (0, [])


def test_at_the_end_all_are_called_at_once() -> None:
    """In their order; and none of them when its time has come."""
    turns, waits, calls = Turns(), Waits(1), list[int]()
    for name in range(2 * AT_ONCE):
        waits.begin(Called(name, calls).call, turns)
    waits.finish()
    assert (calls, len(waits)) == ([*range(2 * AT_ONCE)], 0)
    turns.now += 1
    turns.turn()
    assert (len(calls), turns.alarms) == (2 * AT_ONCE, [])
    waits.begin(Called(-1, calls).call, turns)
    turns.now += 1
    turns.turn()
    assert calls[-1] == -1


def test_many_that_are_due_together_are_called_a_few_in_a_turn() -> None:
    """In their order; the loop serves others between."""
    turns, waits, calls = Turns(), Waits(1), list[int]()
    ones = [Called(name, calls) for name in range(2 * AT_ONCE + 1)]
    for one in ones:
        waits.begin(one.call, turns)
    turns.now += 1
    lengths = []
    for _ in range(3):
        turns.turn()
        lengths.append(len(calls))
    assert lengths == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 1]
    assert calls == [*range(2 * AT_ONCE + 1)]
