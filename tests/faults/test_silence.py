"""How long clients were shown nothing."""

from collections.abc import Sequence

from integration.faults.observations import Announced, Arrival, Observations, Span, Stretch, View
from integration.faults.silence import longest_silence


def view(*times: float, leaves: bool = False) -> View:
    """Make a client that was shown a post at each of these times."""
    return View("a", [Stretch("first", [Arrival(post, at) for post, at in enumerate(times)])], leaves=leaves)


def observed(*views: View, due: Sequence[float] = (0.0,)) -> Observations:
    """See posts that were announced at these times."""
    return Observations([Announced(post, at) for post, at in enumerate(due)], views, [], frozenset(), window=2.0)


def test_the_longest_pause_of_any_client_that_stays_counts() -> None:
    assert longest_silence(observed(view(1, 2, 7, 8), view(1, 4, 8))) == 5


def test_a_client_that_leaves_by_itself_does_not_count() -> None:
    assert longest_silence(observed(view(1, 2), view(1, 99, leaves=True))) == 1


def test_a_client_that_asks_for_some_authors_may_have_to_wait_for_them() -> None:
    some = view(1, 99)
    some.stretches[0].authors = frozenset({1})
    assert longest_silence(observed(view(1, 2), some)) == 1


def test_it_is_counted_from_the_first_announcement_on() -> None:
    assert longest_silence(observed(view(9, 10), due=[3, 2, 4])) == 7


def test_a_lost_connection_is_a_silence_too() -> None:
    """What counts is what people saw, whichever part of it was away."""
    cut_off = view(1, 9)
    cut_off.absences.append(Span(2, 8))
    assert longest_silence(observed(cut_off)) == 8


def test_without_a_client_or_a_post_there_is_none() -> None:
    assert longest_silence(observed()) == 0
    assert longest_silence(observed(view(), due=[])) == 0
