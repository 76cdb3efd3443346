"""Which statements a batch asks, for whatever becomes of them."""

from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contract import PostId
from streams.enrichment import Found
from streams.statements import PATIENCE_SECONDS, TRIES, Statements

Outcome = str | dict[PostId, Found]
POST = Found(b"{}", None)


def ids(*posts: int) -> list[PostId]:
    return [PostId(post) for post in posts]


def rows(posts: Iterable[int]) -> dict[PostId, Found]:
    return {PostId(post): POST for post in posts}


class Run:
    """Asks until all is decided. ``answer`` gets the ids of a statement and returns rows, or the word for a failure.

    A time-out takes 10 s, and a wait 5 s.
    """

    def __init__(
        self, statements: Statements, answer: Callable[[Sequence[PostId]], Outcome], *, most: int = 1000
    ) -> None:
        self.asked: list[list[int]] = []
        self.controls: list[list[int]] = []
        self.waits = 0
        self.now = 1000.0
        while (statement := statements.next()) and most:
            most -= 1
            (self.controls if statement.control else self.asked).append([int(post) for post in statement.ids])
            match answer(statement.ids):
                case "unavailable":
                    wait = statements.unavailable()
                case "slow":
                    self.now += 10
                    wait = statements.timed_out("statement timeout", self.now)
                case str(why):
                    wait = statements.failed(why)
                case found:
                    wait = statements.answered(found)
            self.waits += wait
            self.now += 5 * wait
        self.ended = statement is None


def poisoned(*posts: int) -> Callable[[Sequence[PostId]], Outcome]:
    return lambda asked: "bad" if set(posts) & set(asked) else rows(asked)


def slow_for(*posts: int) -> Callable[[Sequence[PostId]], Outcome]:
    return lambda asked: "slow" if set(posts) & set(asked) else rows(asked)


def test_a_batch_is_one_statement() -> None:
    statements = Statements(ids(3, 1, 2), limit=10)
    run = Run(statements, rows)
    assert run.asked == [[3, 1, 2]]
    assert statements.found == rows([3, 1, 2])
    assert statements.unreadable == {}
    assert Statements([], limit=10).next() is None


def test_a_batch_above_the_limit_is_several() -> None:
    statements = Statements(ids(1, 2, 3, 4, 5), limit=2)
    assert Run(statements, rows).asked == [[1, 2], [3, 4], [5]]
    assert statements.halvings == 0


def test_what_fails_is_halved_until_it_stands_alone_and_a_control_is_answered() -> None:
    statements = Statements(ids(*range(1, 9)), limit=10)
    run = Run(statements, poisoned(6))
    assert run.asked == [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4], [5, 6, 7, 8], [5, 6], [5], [6], [7, 8]]
    assert run.controls == [[5]]
    assert run.waits == 0
    assert statements.unreadable == {PostId(6): "bad"}
    assert statements.found == rows([1, 2, 3, 4, 5, 7, 8])
    assert statements.halvings == 3


def test_when_all_fail_an_id_that_was_read_before_decides() -> None:
    statements = Statements(ids(1, 2, 3), limit=10, controls=ids(99))
    run = Run(statements, poisoned(1, 2, 3))
    assert set(statements.unreadable) == {1, 2, 3}
    assert run.controls == [[99]] * 3
    assert run.waits == 0


def test_when_the_control_fails_too_the_worker_waits_and_asks_the_id_again() -> None:
    broken = 7

    def answer(asked: Sequence[PostId]) -> Outcome:
        nonlocal broken
        broken -= 1
        return "a function is missing" if broken > 0 else rows(asked)

    statements = Statements(ids(1), limit=10, controls=ids(99))
    run = Run(statements, answer)
    assert run.asked == [[1]] * 4
    assert run.controls == [[99]] * 3
    assert run.waits == 3
    assert statements.found == rows([1])
    assert statements.unreadable == {}


def test_nothing_is_set_aside_as_long_as_the_control_fails() -> None:
    statements = Statements(ids(*range(1, 1001)), limit=1000, controls=ids(5000))
    run = Run(statements, lambda _: "a function is missing", most=500)
    assert not run.ended
    assert statements.unreadable == {}
    # Not 2,000 statements for 1,000 ids: the first one that stands alone decides.
    assert len({tuple(asked) for asked in run.asked}) <= 11


@pytest.mark.parametrize("failure", ["unavailable", "slow"])
def test_a_control_that_cannot_be_asked_now_is_asked_again(failure: str) -> None:
    answers: list[Outcome] = ["bad", failure, failure, rows([99])]
    statements = Statements(ids(1), limit=10, controls=ids(99))
    run = Run(statements, lambda _: answers.pop(0))
    assert run.controls == [[99]] * 3
    assert run.waits == 2
    assert statements.unreadable == {PostId(1): "bad"}


def test_without_a_control_an_id_is_set_aside_after_five_tries() -> None:
    statements = Statements(ids(1, 2), limit=10)
    run = Run(statements, poisoned(1, 2))
    assert run.asked == [[1, 2], *[[1]] * TRIES, [2]]
    assert run.controls == []
    assert run.waits == TRIES - 1
    assert set(statements.unreadable) == {1, 2}


def test_an_id_is_not_its_own_control() -> None:
    statements = Statements(ids(7), limit=10, controls=ids(7))
    Run(statements, poisoned(7))
    assert statements.unreadable == {PostId(7): "bad"}
    statements = Statements(ids(7), limit=10, controls=ids(6, 7))
    assert Run(statements, poisoned(7)).controls == [[6]]


def test_a_missing_id_is_no_control() -> None:
    statements = Statements(ids(1), limit=10)
    Run(statements, lambda _: {})
    assert statements.controls == []


def test_what_was_read_last_is_the_control_of_the_next_batch() -> None:
    statements = Statements(ids(1, 2, 3, 4), limit=2, controls=ids(8, 9))
    Run(statements, rows)
    assert statements.controls == [3, 4]


def test_a_lock_makes_no_halves() -> None:
    """Neither the batch nor one id alone is answered: the ids are not the reason (H1)."""
    locked = 12

    def answer(asked: Sequence[PostId]) -> Outcome:
        nonlocal locked
        locked -= 1
        return "slow" if locked >= 0 else rows(asked)

    statements = Statements(ids(1, 2, 3, 4, 5, 6, 7, 8), limit=8)
    run = Run(statements, answer)
    # Another id each time: the first may be slow itself.
    singles = [[post] for post in range(1, 9)]
    assert run.asked == [[1, 2, 3, 4, 5, 6, 7, 8], *singles, [1], [2], [3], [4], *singles[4:], *singles[:3]]
    assert run.waits == 11
    assert (statements.halvings, statements.limit) == (0, 8)
    assert statements.found == rows(range(1, 9))


def test_a_statement_that_is_slow_for_its_ids_is_halved_and_the_size_is_remembered() -> None:
    statements = Statements(ids(*range(1, 17)), limit=16)
    run = Run(statements, lambda asked: "slow" if len(asked) > 4 else rows(asked))
    assert [len(asked) for asked in run.asked] == [16, 1, 8, 1, 4, 4, 4, 2]
    assert run.waits == 0
    assert (statements.halvings, statements.limit) == (2, 4)
    assert statements.found == rows(range(1, 17))


def test_a_single_id_that_takes_too_long_is_asked_again_and_never_given_up() -> None:
    answers: list[Outcome] = ["slow"] * 50
    statements = Statements(ids(1), limit=10)
    run = Run(statements, lambda asked: answers.pop() if answers else rows(asked))
    assert run.waits == 50
    assert statements.found == rows([1])
    assert statements.limit == 10


def test_a_database_that_goes_away_after_a_slow_statement_is_no_reason_to_halve() -> None:
    answers: list[Outcome] = ["slow", "unavailable"]
    statements = Statements(ids(1, 2, 3), limit=10)
    run = Run(statements, lambda asked: answers.pop(0) if answers else rows(asked))
    assert run.asked == [[1, 2, 3], [1], [1], [2, 3]]
    assert statements.halvings == 0


def test_an_id_that_always_takes_too_long_alone_is_set_aside_and_the_rest_is_found() -> None:
    statements = Statements(ids(*range(1, 9)), limit=8)
    run = Run(statements, slow_for(5))
    assert run.ended
    assert statements.found == rows([1, 2, 3, 4, 6, 7, 8])
    assert statements.unreadable == {
        PostId(5): "takes too long alone, 22 times in 310 s, while other posts are answered: statement timeout"
    }
    # The others are asked first, and the size that was halved for one id's sake is not remembered.
    assert run.asked == [[*range(1, 9)], [1], [2, 3, 4, 5], [2], [3, 4], [5, 6], [5], [6, 7, 8], *[[5]] * 21]
    assert len(run.controls) == 22
    assert statements.limit == 8
    assert statements.slow is None


def test_several_slow_ids_are_tried_in_turn() -> None:
    """Their times run side by side."""
    statements = Statements(ids(1, 2, 3), limit=1, controls=ids(99))
    run = Run(statements, slow_for(1, 3))
    assert set(statements.unreadable) == {1, 3}
    assert statements.found == rows([2])
    assert run.asked[:6] == [[1], [2], [3], [1], [3], [1]]
    assert run.now - 1000 < 1.5 * PATIENCE_SECONDS


def test_many_tries_in_a_short_time_set_no_id_aside() -> None:
    """A server's lock_timeout may be much shorter than a statement's limit."""
    statements = Statements(ids(1), limit=1, controls=ids(99))
    for _ in range(100):
        statements.next()
        assert not statements.timed_out("lock timeout", PATIENCE_SECONDS - 1)
        statements.next()
        assert statements.answered(rows([99]))
    assert statements.slow == 1
    assert statements.unreadable == {}


def test_few_tries_in_a_long_time_set_no_id_aside() -> None:
    """STATEMENT_TIMEOUT_SECONDS may be 600."""
    statements = Statements(ids(1), limit=1, controls=ids(99))
    for number in range(1, TRIES + 1):
        assert statements.unreadable == {}
        statements.next()
        statements.timed_out("statement timeout", 600.0 * number)
        statements.next()
        statements.answered(rows([99]))
    assert set(statements.unreadable) == {1}


@pytest.mark.parametrize("failure", ["slow", "unavailable", "a function is missing"])
def test_a_control_that_is_not_answered_says_nothing_of_a_slow_id(failure: str) -> None:
    """A lock, an outage: for however long."""
    statements = Statements(ids(1, 2), limit=2, controls=ids(99))
    run = Run(statements, lambda asked: failure if asked == [99] else "slow", most=1000)
    assert not run.ended
    assert (statements.unreadable, statements.slow) == ({}, None)
    # Never twice in a row: an id takes too long before each.
    assert 498 <= len(run.controls) <= 500


def test_a_lock_that_goes_between_an_id_and_its_control_sets_nothing_aside() -> None:
    """Each control is answered, and the ids too once the trouble of some minutes is over."""
    statements = Statements(ids(1, 2, 3), limit=3, controls=ids(99))
    trouble = iter(range(3 * 7))

    def answer(asked: Sequence[PostId]) -> Outcome:
        return "slow" if asked != [99] and next(trouble, None) is not None else rows(asked)

    run = Run(statements, answer)
    assert statements.unreadable == {}
    assert statements.found == rows([1, 2, 3])
    assert statements.slow is None
    assert run.ended


def test_the_id_that_was_asked_as_a_control_may_be_slow_itself() -> None:
    statements = Statements(ids(1), limit=1, controls=ids(98, 99))
    run = Run(statements, slow_for(1, 99))
    assert run.controls[:4] == [[99], [98], [98], [98]]
    assert set(statements.unreadable) == {1}


def test_where_no_control_is_known_another_id_of_the_batch_becomes_one() -> None:
    """As after a start: the first id is the slow one."""
    statements = Statements(ids(1, 2, 3), limit=3)
    run = Run(statements, slow_for(1))
    assert run.asked[:5] == [[1, 2, 3], [1], [2], [3], [1]]
    assert run.controls[0] == [3]
    assert set(statements.unreadable) == {1}
    assert statements.found == rows([2, 3])


def test_the_id_that_is_asked_alone_after_a_slow_statement_may_be_poison() -> None:
    answers: list[Outcome] = ["slow", "bad", "bad", "bad", "bad", "bad"]
    statements = Statements(ids(1, 2, 3), limit=10)
    Run(statements, lambda asked: answers.pop(0) if answers else rows(asked))
    assert statements.unreadable == {PostId(1): "bad"}
    assert statements.found == rows([2, 3])


@given(st.data())
def test_every_id_is_decided_once_and_only_poison_is_set_aside(data: st.DataObject) -> None:
    posts = ids(*data.draw(st.lists(st.integers(1, 60), unique=True, max_size=40)))
    poison = set(data.draw(st.lists(st.sampled_from(posts), unique=True))) if posts else set()
    missing = set(data.draw(st.lists(st.sampled_from(posts), unique=True))) - poison if posts else set()
    limit = data.draw(st.integers(1, 50))
    controls = ids(*data.draw(st.lists(st.integers(100, 105), max_size=2)))
    trouble = data.draw(st.lists(st.sampled_from(["slow", "unavailable", ""]), max_size=30))
    answered: list[PostId] = []

    def answer(asked: Sequence[PostId]) -> Outcome:
        if trouble and (failure := trouble.pop()):
            return failure
        if poison & set(asked):
            return "bad"
        assert len(asked) <= limit
        answered.extend(post for post in asked if post < 100)
        return rows(set(asked) - missing)

    statements = Statements(posts, limit=limit, controls=controls)
    run = Run(statements, answer, most=5000)
    assert run.ended
    assert set(answered) == set(posts) - poison
    assert set(statements.unreadable) == poison
    assert set(statements.found) == set(posts) - poison - missing
    assert run.asked == [] or max(map(len, run.asked)) <= limit


@given(st.data())
def test_only_ids_that_are_always_slow_are_set_aside_whatever_passes_meanwhile(data: st.DataObject) -> None:
    posts = ids(*data.draw(st.lists(st.integers(1, 30), unique=True, min_size=1, max_size=20)))
    slow = set(data.draw(st.lists(st.sampled_from(posts), unique=True, max_size=4)))
    limit = data.draw(st.integers(1, 30))
    # Less than five minutes of it.
    trouble = data.draw(st.lists(st.sampled_from(["slow", "unavailable", ""]), max_size=19))

    def answer(asked: Sequence[PostId]) -> Outcome:
        if trouble and (failure := trouble.pop()):
            return failure
        return "slow" if slow & set(asked) else rows(asked)

    statements = Statements(posts, limit=limit, controls=ids(100))
    run = Run(statements, answer, most=5000)
    assert run.ended
    assert set(statements.unreadable) == slow
    assert statements.found == rows(set(posts) - slow)
