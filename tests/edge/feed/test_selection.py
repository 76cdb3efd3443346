"""Which authors' posts a client sees."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.feed.selection import (
    NO_AUTHOR,
    BadAuthors,
    Selection,
    Selections,
    author_of,
    parse_authors,
    seen,
    selection_of,
)
from streams.contract import MAX_ID

authors = st.one_of(st.none(), st.frozensets(st.integers(0, 6)))


def made_of(some: frozenset[int] | None) -> Selection | None:
    """Make a selection; None is everything."""
    return None if some is None else Selection(some)


@given(claim=authors, asked=authors)
def test_what_is_seen_is_in_the_claim_and_in_the_filter(
    claim: frozenset[int] | None, asked: frozenset[int] | None
) -> None:
    """None is everything, the empty set nothing; each author is looked at by itself."""
    found = seen(made_of(claim), made_of(asked))
    for author in range(8):
        is_seen = (claim is None or author in claim) and (asked is None or author in asked)
        assert is_seen == (found is None or found.has(author))
    assert (found is None) == (claim is None and asked is None)


def test_only_the_wire_form_spells_everything_as_an_empty_list() -> None:
    """A selection of nobody is nothing."""
    assert selection_of([]) is None
    one = selection_of([9, 7, 9])
    assert one is not None
    assert (one.authors.tolist(), len(one)) == ([7, 9], 2)
    assert len(Selection([])) == 0


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], []),
        ([""], []),
        (["7"], [7]),
        (["7", "9,11"], [7, 9, 11]),
        (["", "007,0"], [7, 0]),
        ([str(MAX_ID)], [MAX_ID]),
    ],
)
def test_authors_in_a_url_may_repeat_and_have_commas(values: list[str], found: list[int]) -> None:
    assert parse_authors(values) == found


@pytest.mark.parametrize("value", ["x", "-1", "7,", ",7", "7,,9", "1.0", " 7", "٣", str(MAX_ID + 1), "1" * 20])
def test_what_is_no_list_of_ids_is_refused(value: str) -> None:
    with pytest.raises(BadAuthors):
        parse_authors(["7", value])


def test_a_post_without_an_author_is_selected_by_nobody() -> None:
    """Nor is one whose author cannot be asked for."""
    assert [author_of(one) for one in (None, -5, MAX_ID + 1)] == [NO_AUTHOR] * 3
    assert [author_of(one) for one in (0, MAX_ID)] == [0, MAX_ID]


def test_equal_selections_are_one_object_as_long_as_somebody_has_it() -> None:
    """And its authors count once."""
    known = Selections(limit=5)
    one, other = known.the(Selection([1, 2])), known.the(Selection([3]))
    assert one is not None
    assert known.the(Selection([2, 1])) is one
    assert (len(known), known.authors) == (2, 3)
    assert known.the(Selection([4, 5, 6])) is None
    assert known.the(Selection([1, 2])) is one
    del one
    gc.collect()
    assert (len(known), known.authors) == (1, 1)
    again = known.the(Selection([4, 5, 6, 7]))
    assert (again is not None, known.authors) == (True, 5)
    del other, again
    assert (len(known), known.authors) == (0, 0)
