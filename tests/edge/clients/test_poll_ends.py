"""Long polls that end by themselves."""

from edge.clients.poll_ends import PollEnds
from edge.clients.post_waiters import AT_ONCE
from edge.fanout.deadlines import GRAIN_SECONDS, Entry
from tests.edge.kit.lines import Turns


class Poll:
    """A poll that notes when it was woken."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.entry: Entry | None = None
        self.woken: list[float] = []

    def wake(self) -> None:
        """Note it."""
        self.woken.append(self.turns.now)


def test_each_is_woken_once_at_its_time() -> None:
    """Or up to a grain later, never earlier: it would wait again."""
    turns = Turns()
    ends, polls = PollEnds(turns), [Poll(turns) for _ in range(3)]
    for poll, seconds in zip(polls, (30.01, 10, 20), strict=True):
        ends.watch(poll, 1000 + seconds)
    turns.sleep(100)
    for poll, seconds in zip(polls, (30.01, 10, 20), strict=True):
        [at] = poll.woken
        assert 0 <= at - 1000 - seconds <= GRAIN_SECONDS
    assert len(ends) == 0
    assert not turns.alarms


def test_one_that_is_forgotten_is_not_woken() -> None:
    turns = Turns()
    ends, poll = PollEnds(turns), Poll(turns)
    ends.watch(poll, 1010)
    ends.forget(poll)
    turns.sleep(100)
    assert (poll.woken, len(ends)) == ([], 0)


def test_of_many_that_end_together_a_few_are_woken_in_a_turn() -> None:
    turns = Turns()
    ends, polls = PollEnds(turns), [Poll(turns) for _ in range(1000)]
    for poll in polls:
        ends.watch(poll, 1010)
    turns.now = 1011
    rounds = 0
    while not all(poll.woken for poll in polls):
        before = sum(len(poll.woken) for poll in polls)
        turns.turn()
        rounds += 1
        assert sum(len(poll.woken) for poll in polls) - before <= AT_ONCE
    assert rounds == 1000 / AT_ONCE
