"""What is done in each scenario, and when."""

from itertools import islice, pairwise

import pytest

from edge.mock.player import AFTER_READING
from edge.mock.scenarios import BACKLOG, EVERY, LARGE_ID, SCENARIOS, STORM_POSTS, Act, Clock, Lose, Write, steps

CLOCK = Clock(rate=2, window=1, posts=50)
ASKED = ("drops", "expired-tokens", "gaps", "hole", "half-frame", "slow-link", "storm")


def test_there_is_a_scenario_for_everything_that_was_asked_for() -> None:
    assert set(ASKED) < set(SCENARIOS)
    assert all(name == each.name and each.sentence.endswith(".") for name, each in SCENARIOS.items())


@pytest.mark.parametrize(
    ("clock", "windows"),
    [
        (Clock(2, 1, 5), [(1, 2), (2, 2), (3, 1)]),
        (Clock(0.5, 1, 2), [(2, 1), (4, 1)]),
        (Clock(10, 0.25, 6), [(0.25, 2), (0.5, 3), (0.75, 1)]),
    ],
)
def test_the_clock_gives_as_many_posts_as_are_due(clock: Clock, windows: list[tuple[float, int]]) -> None:
    """A window without any has no record."""
    assert list(clock.windows()) == windows


def test_without_a_number_of_posts_it_goes_on() -> None:
    assert list(islice(Clock(1, 5).windows(), 3)) == [(5, 5), (10, 5), (15, 5)]


@pytest.mark.parametrize("name", SCENARIOS)
def test_ids_follow_each_other_and_times_never_go_back(name: str) -> None:
    """The posts that are there before the clock begins come first; what is written and shown is what was asked for."""
    done = list(steps(SCENARIOS[name], CLOCK))
    posts = [each.posts for each in done if isinstance(each, Write | Lose)]
    first = LARGE_ID if name == "large-ids" else 1
    assert posts[0].start == first
    assert all(one.stop == other.start for one, other in pairwise(posts))
    writes = [each for each in done if isinstance(each, Write)]
    assert [each.at for each in writes] == sorted(each.at for each in writes)
    assert sum(len(each.posts) for each in writes if not each.at) == BACKLOG
    storm = 2 * STORM_POSTS if name == "storm" else 0
    assert sum(len(each.posts) for each in writes if each.at and each.is_shown) == 50 + storm


@pytest.mark.parametrize(
    ("name", "acts"),
    [
        ("steady", []),
        ("large-ids", []),
        ("slow-link", []),
        ("storm", []),
        ("drops", [Act.CUT] * 2),
        ("half-frame", [Act.HALVE] * 2),
        ("silence", [Act.FREEZE] * 2),
        ("restart", [Act.RESTART] * 2),
        ("outage", [Act.CUT, Act.LEAVE, Act.RETURN] * 2),
        ("expired-tokens", [Act.LAST_TOKENS, Act.TOKENS] * 2),
        ("crowd", [Act.CUT] * 4),
        ("hole", [Act.SKIP] * 2),
        ("gaps", [Act.STALL, Act.EXPIRE] * 2),
    ],
)
def test_it_happens_again_and_again_and_never_at_the_end(name: str, acts: list[Act]) -> None:
    """25 windows: after ten and after twenty. Nothing would show what came of it behind the last post."""
    done = list(steps(SCENARIOS[name], CLOCK))
    assert [each for each in done if isinstance(each, Act)] == acts
    last = done[-1]
    assert isinstance(last, Write)
    assert last.at == 25
    exactly = Clock(2, 1, 2 * EVERY)
    assert not [each for each in steps(SCENARIOS[name], exactly) if isinstance(each, Act)]


@pytest.mark.parametrize("posts", [2 * EVERY + 1, 2 * EVERY + 2, 2 * EVERY + 4])
def test_kafka_is_back_at_the_end(posts: int) -> None:
    """However few windows follow: else the last posts would come to nobody."""
    done = list(steps(SCENARIOS["outage"], Clock(2, 1, posts)))
    assert [each for each in done if isinstance(each, Act)] == [Act.CUT, Act.LEAVE, Act.RETURN]


def test_without_an_end_it_goes_on() -> None:
    done = islice(steps(SCENARIOS["drops"], Clock(1, 1)), 1000)
    assert sum(each is Act.CUT for each in done) > 80


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_that_waits_until_the_edge_has_read_comes_while_it_cannot(name: str) -> None:
    """It would wait for ever, and everybody with it."""
    reads = True
    for each in steps(SCENARIOS[name], CLOCK):
        assert reads or each not in AFTER_READING
        if each in {Act.LEAVE, Act.STALL}:
            reads = False
        elif each in {Act.RETURN, Act.EXPIRE}:
            reads = True


@pytest.mark.parametrize(
    ("clock", "does"),
    [
        (Clock(1, 1), True),
        (Clock(1, 1, 10), False),
        (Clock(1, 1, 11), True),
        (Clock(5, 1, 50), False),
        (Clock(5, 1, 51), True),
        (Clock(1e-12, 1, 11), True),
    ],
)
def test_whether_a_clock_goes_on_for_more_than_ten_windows(clock: Clock, does: bool) -> None:
    assert clock.outlasts(10) is does


def test_in_some_scenarios_nothing_happens_at_a_time_of_its_own() -> None:
    assert [each.name for each in SCENARIOS.values() if not each.has_events] == ["steady", "slow-link", "large-ids"]
