"""When keys are asked for."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.access.freshness import AGE_SECONDS, APART_SECONDS, Freshness


def test_the_first_question_is_due_at_once() -> None:
    freshness = Freshness()
    assert (freshness.wait(5.0), freshness.rest(5.0)) == (0.0, 0.0)


def test_what_is_known_is_asked_for_again_before_it_is_old() -> None:
    """And soon, while there is no answer."""
    freshness = Freshness()
    freshness.ask(100.0)
    assert (freshness.wait(110.0), freshness.rest(110.0)) == (APART_SECONDS - 10, APART_SECONDS - 10)
    freshness.answer()
    assert (freshness.wait(110.0), freshness.rest(110.0)) == (APART_SECONDS - 10, AGE_SECONDS - 10)
    freshness.ask(200.0)
    assert freshness.rest(200.0) == APART_SECONDS
    assert freshness.wait(200.0 + APART_SECONDS) == 0.0


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans()), max_size=50))
def test_questions_are_apart_whoever_wants_them(wishes: list[tuple[float, bool]]) -> None:
    """Strangers cannot make them more."""
    freshness, now, asked = Freshness(), 0.0, []
    for seconds, is_answered in wishes:
        now += seconds
        if not freshness.wait(now):
            freshness.ask(now)
            asked.append(now)
            if is_answered:
                freshness.answer()
        assert freshness.wait(now) <= freshness.rest(now)
    assert all(later - earlier > APART_SECONDS - 1e-6 for earlier, later in pairwise(asked))
