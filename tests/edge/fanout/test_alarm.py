"""What is due at a time of its own, by one timer."""

from edge.fanout.alarm import Alarm
from edge.fanout.deadlines import GRAIN_SECONDS, Entry
from tests.edge.kit.lines import Turns

AT_ONCE = 4


class One:
    """Something that notes when it was rung for."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.entry: Entry | None = None
        self.rung: list[float] = []

    def ring(self) -> None:
        """Note it."""
        self.rung.append(self.turns.now)


def made(count: int) -> tuple[Turns, Alarm[One], list[One]]:
    """Make a loop, an alarm, and so many for which it may ring."""
    turns = Turns()
    return turns, Alarm(turns, AT_ONCE, One.ring), [One(turns) for _ in range(count)]


def test_each_is_rung_for_once_at_its_time() -> None:
    """Or up to a grain later, never earlier: it would wait again. The timer is set anew for what is due before all."""
    turns, alarm, ones = made(3)
    for one, seconds in zip(ones, (30.01, 10, 20), strict=True):
        alarm.watch(one, 1000 + seconds)
    assert [each.is_cancelled for each in turns.alarms] == [True, False]
    turns.sleep(100)
    for one, seconds in zip(ones, (30.01, 10, 20), strict=True):
        [at] = one.rung
        assert 0 <= at - 1000 - seconds <= GRAIN_SECONDS
    assert len(alarm) == 0
    assert not turns.alarms


def test_one_that_is_forgotten_is_not_rung_for() -> None:
    turns, alarm, [one] = made(1)
    alarm.watch(one, 1010)
    alarm.forget(one)
    turns.sleep(100)
    assert (one.rung, len(alarm)) == ([], 0)


def test_one_that_is_rung_for_may_be_watched_anew_at_once() -> None:
    turns, _, [one] = made(1)

    def again(each: One) -> None:
        each.rung.append(turns.now)
        alarm.watch(each, turns.now + 10)

    alarm = Alarm(turns, AT_ONCE, again)
    alarm.watch(one, 1010)
    turns.sleep(35)
    assert (one.rung, len(alarm)) == ([1010, 1020, 1030], 1)
    assert sum(not each.is_cancelled for each in turns.alarms) == 1


def test_of_many_that_are_due_together_a_few_are_rung_for_in_a_turn() -> None:
    turns, alarm, ones = made(1000)
    for one in ones:
        alarm.watch(one, 1010)
    turns.now = 1011
    rounds = 0
    while not all(one.rung for one in ones):
        before = sum(len(one.rung) for one in ones)
        turns.turn()
        rounds += 1
        assert sum(len(one.rung) for one in ones) - before <= AT_ONCE
    assert rounds == 1000 / AT_ONCE
