"""Which letters are outstanding and selected, and what becomes of each."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contract import MAX_DEAD_BODY_BYTES, DeadLetter, Millis, PostId, dead_letter, encode_dead
from streams.dead import (
    DISMISSED,
    FOREIGN,
    REQUEUED,
    Action,
    Letter,
    Mark,
    Marks,
    Place,
    Selection,
    Verdict,
    judge,
    mark,
    parse_place,
    posts_named,
    read_record,
)
from tests.streams.dead_letters import GROUPED, HUGE, MISSING, POISON, at, placed

places = st.builds(at, st.integers(0, 5_000) | st.integers(0, 2**63 - 1), st.integers(0, 3))


def test_a_letter_is_read_as_it_was_written() -> None:
    assert read_record(at(3), Millis(7), encode_dead(MISSING)) == Letter(at(3), Millis(7), MISSING)


@pytest.mark.parametrize("action", [REQUEUED, DISMISSED])
@given(place=places)
def test_a_mark_names_the_place_of_its_letter(action: Action, place: Place) -> None:
    written = mark(action, Verdict(Letter(place, Millis(0), MISSING), [PostId(12)]))
    assert written.reason == action
    assert read_record(at(9), Millis(9), encode_dead(written)) == Mark(place)


def test_the_mark_of_a_letter_in_partition_0_is_its_offset_alone() -> None:
    assert mark(REQUEUED, Verdict(placed(MISSING, 7), [PostId(12)])).body == b"7"
    assert mark(DISMISSED, Verdict(placed(MISSING, 7, partition=2))).body == b"2:7"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"12",
        b"no JSON",
        b'{"reason":"missing"}',
        b"[" * 100_000,
        b"\xff",
        encode_dead(dead_letter(REQUEUED, "", b"")),
        encode_dead(dead_letter(REQUEUED, "", b"twelve")),
        encode_dead(dead_letter(DISMISSED, "", b"-1")),
        encode_dead(dead_letter(DISMISSED, "", b"1:2:3")),
        encode_dead(dead_letter(DISMISSED, "", b"1" * 20)),
    ],
)
def test_a_record_that_is_neither_letter_nor_mark_is_a_foreign_letter(value: bytes) -> None:
    record = read_record(at(1), Millis(2), value)
    assert isinstance(record, Letter)
    assert (record.place, record.letter.reason, record.letter.body) == (at(1), FOREIGN, value[:MAX_DEAD_BODY_BYTES])
    assert record.letter.detail
    assert judge(REQUEUED, record).refusal == "it is no dead letter of Postcast"
    assert judge(DISMISSED, record).refusal == ""


@given(marked=st.lists(places), asked=st.lists(places))
def test_marks_are_the_set_of_places_that_were_added(marked: list[Place], asked: list[Place]) -> None:
    marks = Marks()
    for place in marked:
        marks.add(place)
    assert [place in marks for place in [*marked, *asked]] == [place in set(marked) for place in [*marked, *asked]]


def test_a_million_marks_take_less_than_a_megabyte() -> None:
    marks = Marks()
    for offset in range(1_000_000):
        marks.add(at(offset))
    blocks = vars(marks)["_blocks"]
    assert sum(sys.getsizeof(key) + sys.getsizeof(block) for key, block in blocks.items()) + sys.getsizeof(blocks) < 1e6


@pytest.mark.parametrize(
    ("text", "place"),
    [(b"0", at(0)), (b"17", at(17)), (b"2:17", at(17, 2)), (b"0:5", at(5)), (b"", None), (b":5", None), (b"2:", None)],
)
def test_a_place_is_an_offset_or_a_partition_with_an_offset(text: bytes, place: Place | None) -> None:
    assert parse_place(text) == place


def test_a_place_is_spelled_as_it_is_parsed() -> None:
    assert (str(at(17)), str(at(17, 2))) == ("17", "2:17")


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), ["12", "abc", "5,6,7"]),
        (Selection(reasons=frozenset({"missing", "not_an_id"})), ["12", "abc"]),
        (Selection(since=Millis(1)), ["abc", "5,6,7"]),
        (Selection(places=frozenset({at(2)})), ["5,6,7"]),
        (Selection(places=frozenset({at(2, 1)})), []),
        (Selection(posts=frozenset({PostId(6), PostId(12)})), ["12", "5,6,7"]),
        (Selection(reasons=frozenset({"missing"}), since=Millis(1)), []),
    ],
)
def test_a_selection_takes_what_meets_all_of_its_conditions(selection: Selection, taken: list[str]) -> None:
    letters = {"12": placed(MISSING, 0), "abc": placed(POISON, 1), "5,6,7": placed(GROUPED, 2)}
    assert [name for name, letter in letters.items() if selection.takes(letter)] == taken


@pytest.mark.parametrize(
    ("letter", "posts"),
    [
        (MISSING, [12]),
        (dead_letter("unreadable", "", b"12"), [12]),
        (dead_letter("too_large", "", b"12"), [12]),
        (dead_letter("not_an_id", "an older bridge", b'{"id":12}'), [12]),
        (GROUPED, [5, 6, 7]),
        (dead_letter("bad_record", "", b'{"id":12,"attempt":9}'), [12]),
    ],
)
def test_a_letter_names_one_post_or_those_of_its_record(letter: DeadLetter, posts: list[int]) -> None:
    assert list(posts_named(placed(letter))) == posts
    assert list(judge(REQUEUED, placed(letter)).posts) == posts
    assert judge(DISMISSED, placed(letter)) == Verdict(placed(letter))


@pytest.mark.parametrize(
    ("letter", "refusal"),
    [
        (POISON, "the body is neither 1 to 19 ASCII digits nor a JSON object"),
        (HUGE, "only the beginning of the body was kept"),
        (dead_letter("bad_record", "", b'{"ids":[]}'), "not a record of posts.created"),
        (dead_letter("bad_record", "", b"12"), "not a record of posts.created"),
    ],
)
def test_a_letter_that_names_no_post_is_not_requeued(letter: DeadLetter, refusal: str) -> None:
    assert judge(REQUEUED, placed(letter)).refusal.startswith(refusal)
    assert posts_named(placed(letter)) == ()
