"""The judge: each way to break a law is seen, and what breaks none is not."""

from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.faults.observations import (
    Announced,
    Arrival,
    Begins,
    Fate,
    Happened,
    Observations,
    Span,
    Stretch,
    View,
)
from integration.faults.verdict import Verdict, judge

WINDOW = 2.0
RETENTION = Happened("retention edge", Span(0, 0), "proof")


def view(
    client: str, *stretches: tuple[Begins, Sequence[int]], at: float = 1.0, authors: frozenset[int] | None = None
) -> View:
    """Make a client that was sent posts in stretches, all at one time."""
    return View(
        client, [Stretch(begins, [Arrival(post, at) for post in posts], authors) for begins, posts in stretches]
    )


def observed(
    *views: View,
    posts: Sequence[int] = (1, 2, 3, 4),
    fates: dict[int, Fate] | None = None,
    faults: Sequence[Happened] = (),
    dead: frozenset[tuple[Fate, int]] = frozenset(),
) -> Observations:
    """See some posts, all confirmed at time 0; those with odd numbers are by author 1, the others by author 2."""
    announced = [Announced(post, 0.0, (fates or {}).get(post, "shown"), 2 - post % 2) for post in posts]
    return Observations(announced, views, faults, dead, WINDOW)


WHOLE = view("whole", ("first", [1, 2, 3, 4]))


def test_who_saw_everything_once_and_in_one_order_has_no_complaint() -> None:
    seen = observed(WHOLE, view("resumed", ("first", [1, 2]), ("resumed", []), ("resumed", [3, 4])))
    assert judge(seen) == Verdict(slowest=1.0)


def test_a_post_that_nobody_saw_is_lost() -> None:
    seen = observed(view("a", ("first", [1, 2, 4])), view("b", ("first", [1, 2, 4])))
    assert judge(seen) == Verdict(lost=["post 3 was shown to nobody"], slowest=1.0)


def test_a_dead_letter_that_is_not_there_is_lost() -> None:
    seen = observed(view("a", ("first", [1, 2, 3])), fates={4: "missing"}, dead=frozenset({("unreadable", 4)}))
    assert judge(seen) == Verdict(lost=["post 4 is no dead letter with the reason missing"], slowest=1.0)


def test_what_is_set_aside_is_to_be_a_dead_letter_and_not_shown() -> None:
    dead: frozenset[tuple[Fate, int]] = frozenset({("missing", 4)})
    assert judge(observed(view("a", ("first", [1, 2, 3])), fates={4: "missing"}, dead=dead)) == Verdict(slowest=1.0)
    shown = judge(observed(WHOLE, fates={4: "missing"}, dead=dead))
    assert shown.twice == ["whole saw post 4, which was not to be shown (any more)"]


@pytest.mark.parametrize(
    "stretches",
    [
        [("first", [1, 2, 2, 3, 4])],
        [("first", [1, 2]), ("resumed", [2, 3, 4])],
        [("first", [1, 2]), ("anew", [2, 3, 4])],
    ],
)
def test_a_post_that_a_client_saw_again_was_shown_twice(stretches: list[tuple[Begins, list[int]]]) -> None:
    assert judge(observed(WHOLE, view("a", *stretches))) == Verdict(twice=["a saw post 2 again"], slowest=1.0)


def test_two_clients_that_saw_two_posts_in_opposite_orders_saw_them_out_of_order() -> None:
    seen = observed(WHOLE, view("a", ("first", [1, 3, 2, 4])))
    assert judge(seen).disorder == ["a saw post 2 after post 3, and whole before it"]


@pytest.mark.parametrize(
    ("stretches", "missing"),
    [
        ([("first", [1, 2, 4])], "1 posts without a word: 3"),
        ([("first", [1]), ("resumed", [3, 4])], "1 posts without a word: 2"),
        ([("first", [1, 2])], "2 posts without a word: 3, 4"),
        ([("first", [2, 3, 4])], "1 posts without a word: 1"),
        ([("first", [1]), ("anew", [2, 4])], "1 posts without a word: 3"),
        ([("first", [1, 2]), ("anew", [])], "1 posts without a word: 4"),
        ([("first", []), ("resumed", [])], "4 posts without a word: 1, 2, 3, 4"),
    ],
)
def test_what_is_missing_where_nothing_may_be_is_an_unsaid_gap(
    stretches: list[tuple[Begins, list[int]]], missing: str
) -> None:
    assert judge(observed(WHOLE, view("a", *stretches))).unsaid == [f"a missed {missing}"]


ODD: Final = frozenset({1})
"""The authors of the posts with odd numbers."""


@pytest.mark.parametrize(
    "stretches",
    [
        [("first", [1, 3])],
        [("first", [1]), ("resumed", []), ("resumed", [3])],
        [("first", []), ("resumed", [1, 3])],
        [("first", [1]), ("anew", [3])],
    ],
)
def test_who_asks_for_some_authors_is_to_see_their_posts_and_no_others(
    stretches: list[tuple[Begins, list[int]]],
) -> None:
    assert judge(observed(WHOLE, view("a", *stretches, authors=ODD))) == Verdict(slowest=1.0)


def test_who_asks_for_an_author_without_posts_is_to_see_none() -> None:
    nobodys = frozenset({3})
    seen = observed(WHOLE, view("a", ("first", []), ("resumed", []), authors=nobodys))
    assert judge(seen) == Verdict(slowest=1.0)
    assert judge(observed(WHOLE, view("a", ("first", []), ("anew", []), authors=nobodys))) == Verdict(slowest=1.0)


def test_a_post_of_an_author_that_was_not_asked_for_is_charged_once() -> None:
    seen = observed(WHOLE, view("a", ("first", [1, 2, 3]), authors=ODD))
    assert judge(seen) == Verdict(unasked=["a saw post 2 of author 2"], slowest=1.0)


@pytest.mark.parametrize(
    ("stretches", "missing"),
    [
        ([("first", [3])], "1 posts without a word: 1"),
        ([("first", [1]), ("resumed", [])], "1 posts without a word: 3"),
        ([("first", [1]), ("anew", [])], "1 posts without a word: 3"),
        ([("first", [])], "2 posts without a word: 1, 3"),
    ],
)
def test_what_is_missing_of_the_authors_that_were_asked_for_is_an_unsaid_gap(
    stretches: list[tuple[Begins, list[int]]], missing: str
) -> None:
    assert judge(observed(WHOLE, view("a", *stretches, authors=ODD))).unsaid == [f"a missed {missing}"]


def test_what_should_not_be_shown_to_anybody_is_no_gap_of_who_asks_for_some_authors() -> None:
    dead: frozenset[tuple[Fate, int]] = frozenset({("missing", 3)})
    seen = observed(WHOLE, view("a", ("first", [1]), authors=ODD), fates={3: "missing"}, dead=dead)
    assert judge(seen) == Verdict(twice=["whole saw post 3, which was not to be shown (any more)"], slowest=1.0)


EVEN: Final = frozenset({2})
BOTH: Final = frozenset({1, 2})
Choices = Sequence[tuple[Begins, frozenset[int], Sequence[int]]]


def choosy(stretches: Choices) -> View:
    """Make a client that asked for different authors."""
    return View("a", [Stretch(begins, [Arrival(post, 1.0) for post in sent], whom) for begins, whom, sent in stretches])


@pytest.mark.parametrize(
    "stretches",
    [
        [("first", ODD, [1, 3]), ("resumed", EVEN, [4])],
        [("first", ODD, [1]), ("resumed", EVEN, [2, 4])],
        # Where exactly it changed its mind nobody can tell who does not know the cursors.
        [("first", ODD, [1]), ("resumed", EVEN, [4])],
        [("first", ODD, [1]), ("resumed", BOTH, [3, 4])],
        [("first", ODD, [1]), ("resumed", EVEN, []), ("resumed", BOTH, [3, 4])],
    ],
)
def test_who_asks_for_others_is_to_see_those_from_then_on(stretches: Choices) -> None:
    assert judge(observed(WHOLE, choosy(stretches))) == Verdict(slowest=1.0)


@pytest.mark.parametrize(
    ("stretches", "missing"),
    [
        ([("first", ODD, [1]), ("resumed", BOTH, [4])], "3"),
        ([("first", BOTH, [1]), ("resumed", EVEN, [4])], "2"),
        ([("first", EVEN, [2]), ("resumed", ODD, [])], "3"),
        ([("first", ODD, [3]), ("resumed", EVEN, [4])], "1"),
    ],
)
def test_an_author_that_is_asked_for_before_and_after_is_to_be_seen_in_between(
    stretches: Choices, missing: str
) -> None:
    assert judge(observed(WHOLE, choosy(stretches))).unsaid == [f"a missed 1 posts without a word: {missing}"]


def lives(*stretches: tuple[Begins, Sequence[int], Sequence[int] | None]) -> View:
    """Make a client whose place an edge keeps: how stretches begin, what it was sent, and what may come again."""
    return View(
        "a",
        [
            Stretch(begins, [Arrival(post, 1.0) for post in posts], again=None if again is None else frozenset(again))
            for begins, posts, again in stretches
        ],
    )


def test_what_was_not_acknowledged_may_come_once_more_in_each_life() -> None:
    a = lives(("first", [1, 2, 3], []), ("resumed", [2, 3], [2, 3]), ("resumed", [], None), ("resumed", [3, 4], [3]))
    assert judge(observed(WHOLE, a)) == Verdict(slowest=1.0)


@pytest.mark.parametrize(
    ("second", "again", "charged"),
    [([2, 3, 4], [3], 2), ([3, 3, 4], [3], 3), ([3, 4], [], 3), ([3, 4], None, 3)],
)
def test_what_was_acknowledged_and_what_has_come_again_does_not_come_again(
    second: list[int], again: list[int] | None, charged: int
) -> None:
    a = lives(("first", [1, 2, 3], []), ("resumed", second, again))
    assert judge(observed(WHOLE, a)).twice == [f"a saw post {charged} again"]


def test_what_may_come_again_may_not_in_the_life_after_that() -> None:
    a = lives(("first", [1, 2, 3], []), ("resumed", [], [3]), ("resumed", [3, 4], []))
    assert judge(observed(WHOLE, a)).twice == ["a saw post 3 again"]


def test_a_place_that_was_kept_too_far_ahead_is_an_unsaid_gap() -> None:
    a = lives(("first", [1, 2], []), ("resumed", [4], [2]))
    assert judge(observed(WHOLE, a)).unsaid == ["a missed 1 posts without a word: 3"]


def test_what_comes_again_is_not_late() -> None:
    a = lives(("first", [1, 2, 3, 4], []), ("resumed", [], [4]))
    a.stretches[1].arrivals.append(Arrival(4, 1000.0))
    assert judge(observed(WHOLE, a)) == Verdict(slowest=1.0)


def test_a_post_that_a_token_does_not_allow_is_charged_as_that_alone() -> None:
    a = view("a", ("first", [1, 2, 3]), authors=ODD)
    a.stretches[0].allowed = ODD
    assert judge(observed(WHOLE, a)) == Verdict(
        forbidden=["a saw post 2 of author 2, whom its token does not allow"], slowest=1.0
    )


def test_a_post_that_a_token_allows_and_nobody_asked_for_is_charged_as_that_alone() -> None:
    a = view("a", ("first", [1, 2, 3]), authors=ODD)
    a.stretches[0].allowed = ODD | EVEN
    assert judge(observed(WHOLE, a)) == Verdict(unasked=["a saw post 2 of author 2"], slowest=1.0)


def test_a_post_of_the_choice_before_was_not_asked_for() -> None:
    seen = observed(WHOLE, choosy([("first", ODD, [1]), ("resumed", EVEN, [3, 4])]))
    assert judge(seen).unasked == ["a saw post 3 of author 1"]


def test_order_holds_between_who_sees_everything_and_who_sees_some() -> None:
    seen = observed(WHOLE, view("a", ("first", [3, 1]), authors=ODD))
    assert judge(seen).disorder == ["a saw post 1 after post 3, and whole before it"]


@pytest.mark.parametrize("begins", ["gap", "anew"])
def test_what_is_missing_before_a_stretch_that_promises_nothing_is_no_fault(begins: Begins) -> None:
    faults = [RETENTION]
    seen = observed(WHOLE, view("a", ("first", [1]), (begins, [4])), faults=faults)
    assert judge(seen) == Verdict(slowest=1.0)


def test_what_is_missing_after_a_gap_that_was_said_is_an_unsaid_one() -> None:
    seen = observed(WHOLE, view("a", ("first", [1]), ("gap", [2, 4])), faults=[RETENTION])
    assert judge(seen).unsaid == ["a missed 1 posts without a word: 3"]


def timed(client: str, *stretches: tuple[Begins, float, Sequence[int]], authors: frozenset[int] | None = None) -> View:
    """Make a client whose stretches begin at these times, and that was sent each post at the second of its number."""
    return View(
        client,
        [
            Stretch(begins, [Arrival(post, post) for post in posts], authors, begun=begun)
            for begins, begun, posts in stretches
        ],
    )


MINUTES: Final = range(1, 301)
"""Posts, one a second."""
BOUND: Final = 17
"""How many seconds a post may take: a window and the grace."""


def missed(*views: View, faults: Sequence[Happened] = ()) -> list[str]:
    """Return what these clients missed that another one saw, of a post a second, each shown at once."""
    announced = [Announced(post, post, author=2 - post % 2) for post in MINUTES]
    everything = timed("everything", ("first", 0, MINUTES))
    return judge(Observations(announced, [everything, *views], [RETENTION, *faults], frozenset(), WINDOW)).unsaid


@pytest.mark.parametrize("begins", ["gap", "anew"])
def test_who_begins_anywhere_is_to_see_what_comes_when_it_has_been_there_for_as_long_as_a_post_may_take(
    begins: Begins,
) -> None:
    assert missed(timed("a", ("first", 0, range(1, 51)), (begins, 52, range(52 + BOUND + 1, 301)))) == []
    late = timed("a", ("first", 0, range(1, 51)), (begins, 52, range(52 + BOUND + 2, 301)))
    assert missed(late) == ["a missed 1 posts without a word: 70"]
    mute = timed("a", ("first", 0, range(1, 51)), (begins, 52, [300]))
    assert missed(mute) == ["a missed 230 posts without a word: 70, 71, 72, 73, 74, …"]


def test_who_is_cut_off_was_to_see_what_others_had_seen_as_long_before() -> None:
    mute = timed("a", ("first", 0, range(1, 51)), ("anew", 52, []), ("anew", 90, range(90, 301)))
    assert missed(mute) == ["a missed 3 posts without a word: 70, 71, 72"]
    stopped = timed("a", ("first", 0, range(1, 51)), ("anew", 90, range(90, 301)))
    assert missed(stopped) == ["a missed 22 posts without a word: 51, 52, 53, 54, 55, …"]


def test_neither_the_time_of_a_fault_nor_that_of_an_absence_counts() -> None:
    frozen = [Happened("stop edge", Span(60, 80), "proof")]
    away = timed("a", ("first", 0, range(1, 51)), ("anew", 90, range(90 + BOUND + 1, 301)))
    away.absences = [Span(51, 90)]
    assert missed(away, timed("b", ("first", 0, range(1, 51)), ("anew", 52, range(90, 301))), faults=frozen) == []


def test_who_asks_for_others_is_to_see_theirs_when_it_has_asked_for_as_long_as_a_post_may_take() -> None:
    a = timed("a", ("first", 0, range(1, 101, 2)), ("resumed", 100, range(140, 301, 2)))
    a.stretches[0].authors, a.stretches[1].authors = ODD, EVEN
    assert missed(a) == ["a missed 11 posts without a word: 118, 120, 122, 124, 126, …"]
    b = timed("b", ("first", 0, range(1, 51, 2)), ("anew", 60, range(79, 301, 2)), authors=ODD)
    assert missed(b) == []


def test_a_gap_that_is_said_although_no_log_was_cut_is_needless() -> None:
    seen = observed(WHOLE, view("a", ("first", [1]), ("gap", [4])), faults=[Happened("kill edge", Span(0, 1), "proof")])
    assert judge(seen).needless == ["a was told of 1 gaps"]


def test_a_post_is_late_beyond_a_window_and_the_grace() -> None:
    bound = WINDOW + 15
    assert judge(observed(view("a", ("first", [1, 2, 3, 4]), at=bound))).late == []
    late = judge(observed(view("a", ("first", [1]), at=bound + 0.1), posts=[1]))
    assert late.late == ["a saw post 1 after 17.1 s, not counting the faults"]
    assert late.slowest == pytest.approx(17.1)


def test_the_time_of_faults_and_absences_does_not_count_and_counts_once_where_they_overlap() -> None:
    a = view("a", ("first", [1]), at=20.0)
    a.absences = [Span(4.0, 6.0), Span(-9.0, 1.0)]
    faults = [Happened("kill kafka", Span(5.0, 8.0), "proof"), Happened("kill edge", Span(19.0, 30.0), "proof")]
    # Of twenty seconds 0 to 1, 4 to 8 and 19 to 20 were disturbed.
    assert judge(observed(a, posts=[1], faults=faults)) == Verdict(slowest=14.0)


def test_a_post_that_was_inserted_after_its_announcement_is_due_from_then_on() -> None:
    seen = Observations([Announced(1, 19.0)], [view("a", ("first", [1]), at=20.0)], [], frozenset(), WINDOW)
    assert judge(seen) == Verdict(slowest=1.0)


@given(st.data())
def test_a_client_may_be_cut_off_anywhere_and_any_post_it_then_lacks_is_noticed(
    data: st.DataObject,
) -> None:
    posts = data.draw(st.lists(st.integers(1, 1000), min_size=1, max_size=30, unique=True))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(posts)), max_size=5)))
    pieces = [posts[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(posts)], strict=True)]
    stretches: list[tuple[Begins, list[int]]] = [
        ("resumed" if number else "first", piece) for number, piece in enumerate(pieces)
    ]
    whole = view("whole", ("first", posts))
    assert judge(observed(whole, view("a", *stretches), posts=posts)).is_clean

    lacking = data.draw(st.sampled_from(posts))
    robbed = [(begins, [post for post in piece if post != lacking]) for begins, piece in stretches]
    verdict = judge(observed(whole, view("a", *robbed), posts=posts))
    assert verdict.unsaid == [f"a missed 1 posts without a word: {lacking}"]


@given(st.data())
def test_so_may_a_client_that_asks_for_some_authors(data: st.DataObject) -> None:
    posts = data.draw(st.lists(st.integers(1, 1000), min_size=1, max_size=30, unique=True))
    odd = [post for post in posts if post % 2]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(odd)), max_size=5)))
    pieces = [odd[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(odd)], strict=True)]
    stretches: list[tuple[Begins, list[int]]] = [
        ("resumed" if number else "first", piece) for number, piece in enumerate(pieces)
    ]
    whole = view("whole", ("first", posts))
    assert judge(observed(whole, view("a", *stretches, authors=ODD), posts=posts)).is_clean

    if odd:
        lacking = data.draw(st.sampled_from(odd))
        robbed = [(begins, [post for post in piece if post != lacking]) for begins, piece in stretches]
        verdict = judge(observed(whole, view("a", *robbed, authors=ODD), posts=posts))
        assert verdict.unsaid == [f"a missed 1 posts without a word: {lacking}"]
    if even := [post for post in posts if not post % 2]:
        begins, piece = stretches[-1]
        verdict = judge(
            observed(whole, view("a", *stretches[:-1], (begins, [*piece, even[-1]]), authors=ODD), posts=posts)
        )
        assert verdict.unasked == [f"a saw post {even[-1]} of author 2"]
