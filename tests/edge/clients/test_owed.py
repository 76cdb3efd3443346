"""Answers are given in the order of the requests, each once."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from edge.clients.owed import Answer, Later, Owed
from edge.wire.encoding import Notice
from edge.wire.requests import Refused


def _notice(number: int) -> Notice:
    return Notice(str(number), b"")


def _busy(number: int) -> Refused:
    return Refused(number, "busy", "that takes longer than it should; ask again in a second")


class Told:
    """Whom answers are ready for."""

    def __init__(self) -> None:
        self.owed = Owed(self.ready)
        self.times = 0
        self.done = 0

    def ready(self) -> None:
        """Count."""
        self.times += 1

    def work(self) -> Notice:
        """Make the second answer, and count it."""
        self.done += 1
        return _notice(2)


def test_what_is_first_given_is_the_answer() -> None:
    """Whether a database answers or the client is put off first; each time it is said once that there is an answer."""
    told = Told()
    first, second = told.owed.later(1), told.owed.later(2)
    first.give(_notice(1))
    first.give(_notice(3))
    first.put_off()
    second.put_off()
    second.give(_notice(2))
    assert told.times == 1
    assert list(told.owed.due()) == [_notice(1), _busy(2)]
    assert len(told.owed) == 0


def test_work_is_done_when_its_turn_comes() -> None:
    told = Told()
    later = told.owed.later(1)
    assert not told.owed.holds_work
    told.owed.add(told.work)
    assert told.owed.holds_work
    assert (list(told.owed.due()), told.done) == ([], 0)
    later.give(_notice(1))
    assert (list(told.owed.due()), told.done) == ([_notice(1), _notice(2)], 1)


@given(st.lists(st.sampled_from(["later", "known", "work", "give", "put_off", "drain"])))
def test_every_request_is_answered_once_and_in_order(steps: list[str]) -> None:
    told = Told()
    asked = 0
    waiting: list[tuple[int, Later]] = []
    answers: list[Answer] = []
    expected: dict[int, Answer] = {}

    def making(number: int) -> Callable[[], Notice]:
        return lambda: _notice(number)

    for step in [*steps, "put_off", "drain"]:
        match step:
            case "later":
                waiting.append((asked, told.owed.later(asked)))
                asked += 1
            case "known" | "work":
                expected[asked] = _notice(asked)
                told.owed.add(_notice(asked) if step == "known" else making(asked))
                asked += 1
            case "give" if waiting:
                # The newest first: that is the wrong order.
                number, later = waiting.pop()
                expected[number] = _notice(number)
                later.give(_notice(number))
            case "put_off":
                expected |= {number: _busy(number) for number, _ in waiting}
                waiting.clear()
                told.owed.put_off()
            case "drain":
                answers += told.owed.due()
    assert answers == [expected[number] for number in range(asked)]


def test_an_answer_may_be_known_before_it_is_made() -> None:
    """It is made in its turn, unless it was put off."""
    told = Told()
    first, second, third = told.owed.later(1), told.owed.later(2), told.owed.later(3)
    second.give(told.work)
    third.put_off()
    third.give(told.work)
    assert (list(told.owed.due()), told.done) == ([], 0)
    first.give(_notice(1))
    assert list(told.owed.due()) == [_notice(1), _notice(2), _busy(3)]
    assert told.done == 1
