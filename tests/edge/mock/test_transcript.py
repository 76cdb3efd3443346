"""What a correct client has shown; and clients that are wrong are found wrong."""

import pytest

from edge.client import Gap, Post, json_line
from edge.mock.scenarios import BACKLOG, SCENARIOS, Clock, steps
from edge.mock.transcript import fault, transcript

CLOCK = Clock(rate=1, window=1, posts=25)
GAP = "gap interrupted"


def expected(name: str) -> list[str]:
    """Return the lines of a scenario."""
    return list(transcript(steps(SCENARIOS[name], CLOCK)))


def posts(begin: int, end: int) -> list[str]:
    """Return the lines of posts."""
    return [f"post {number}" for number in range(begin, end)]


@pytest.mark.parametrize(
    "name", ["steady", "drops", "half-frame", "silence", "slow-link", "outage", "crowd", "restart", "expired-tokens"]
)
def test_what_happens_to_connections_changes_nothing_of_what_is_shown(name: str) -> None:
    assert expected(name) == posts(1, BACKLOG + 26)


def test_what_is_missing_in_the_feed_is_a_gap() -> None:
    """In a hole one post is lost, while the edge is stalled three are; each time."""
    assert expected("hole") == [*posts(1, 30), GAP, *posts(31, 41), GAP, *posts(42, 48)]
    assert expected("gaps") == [*posts(1, 30), GAP, *posts(33, 43), GAP, *posts(46, 52)]


def test_a_storm_is_shown_whole_and_large_ids_to_the_digit() -> None:
    assert expected("storm") == posts(1, BACKLOG + 26 + 4000)
    assert expected("large-ids")[0] == "post 9007199254740993"


HOLE = expected("hole")
RIGHT = [
    HOLE,
    # It asked for no history, or for less of it.
    HOLE[BACKLOG:],
    HOLE[3:],
    # It was away, or it polls: behind a gap it goes on at the feed's end.
    [*HOLE[:25], "gap expired", *HOLE[35:]],
]


@pytest.mark.parametrize("shown", RIGHT)
def test_a_client_that_is_right_is_found_right(shown: list[str]) -> None:
    assert fault(HOLE, shown, backlog=BACKLOG) is None


WRONG = [
    ("shows nothing", [], "nothing was shown"),
    ("stops", HOLE[:-1], "post 47 is missing at the end"),
    ("begins late", HOLE[BACKLOG + 1 :], "line 1: post 21 is missing before post 22"),
    ("leaves out", [*HOLE[:5], *HOLE[6:]], "line 6: post 6 is missing before post 7"),
    ("says no gap", [line for line in HOLE if line != GAP], "line 30: gap interrupted is missing before post 31"),
    ("says a gap of its own", [*HOLE[:5], GAP, *HOLE[5:]], "line 6: there is no gap"),
    ("says a gap at the end", [*HOLE, GAP], f"line {len(HOLE) + 1}: there is no gap"),
    ("stops behind a gap", HOLE[:30], "gap interrupted is missing at the end"),
    ("says a gap twice", [*HOLE[:29], GAP, *HOLE[29:]], "line 31: the gap was said before"),
    ("says a gap twice and stops", [*HOLE[:40], GAP, GAP], "line 42: the gap was said before"),
    (
        "says a gap for a reason of its own",
        [*HOLE[:29], "gap nonsense", *HOLE[30:]],
        "line 30: gap nonsense: there is no such reason",
    ),
    ("says a gap first", [GAP, *HOLE], "line 1: there is no gap"),
    ("shows twice", [*HOLE[:5], *HOLE[4:]], "line 6: post 5 comes again, or too late"),
    ("mixes up", [*HOLE[:4], HOLE[5], HOLE[4], *HOLE[6:]], "line 5: post 5 is missing before post 6"),
    ("shows what is not there", [*HOLE, "post 99"], f"line {len(HOLE) + 1}: post 99: there is no such post"),
    ("shows what was lost", [*HOLE[:30], "post 30"], "line 31: post 30: there is no such post"),
    ("writes something else", ["", *HOLE], "line 1:  is neither `post ID` nor `gap REASON`"),
    ("writes a number", ["7", *HOLE], "line 1: 7 is neither `post ID` nor `gap REASON`"),
    ("writes at length", ["x" * 200], f"line 1: {'x' * 80} is neither `post ID` nor `gap REASON`"),
    ("writes deep JSON", ["[" * 100_000], f"line 1: {'[' * 80} is neither `post ID` nor `gap REASON`"),
]


@pytest.mark.parametrize(("shown", "sentence"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_a_client_that_is_wrong_is_found_wrong(shown: list[str], sentence: str) -> None:
    assert fault(HOLE, shown, backlog=BACKLOG) == sentence


def test_a_client_that_sees_some_authors_may_have_no_post_between_two_gaps() -> None:
    """It is told of each of them, and of no third one."""
    seen = ["post 1", GAP, GAP, "post 45"]
    assert fault(seen, seen, backlog=1) is None
    assert fault(seen, [*seen[:3], GAP, *seen[3:]], backlog=1) == "line 4: the gap was said before"


def test_of_a_client_that_sees_some_authors_less_is_a_backlog() -> None:
    seen = ["post 3", "post 17", "post 21", "post 40"]
    assert fault(seen, seen[2:], backlog=2) is None
    assert fault(seen, seen[3:], backlog=2) == "line 1: post 21 is missing before post 40"


def test_what_our_own_client_prints_as_json_is_read() -> None:
    """Right and wrong, as the lines."""
    lines = [
        json_line(
            Gap(line.removeprefix("gap "), "0" * 32, 1) if line == GAP else Post({"id": int(line[5:])}, "0" * 32, 1)
        )
        for line in HOLE
    ]
    assert fault(HOLE, lines, backlog=BACKLOG) is None
    assert fault(HOLE, [*lines[:5], *lines[6:]], backlog=BACKLOG) == "line 6: post 6 is missing before post 7"
