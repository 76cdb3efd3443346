"""Who wrote which post."""

import pytest

from integration.faults.authors import AUTHORS, author_of, author_sql, seen_of


def test_consecutive_posts_are_by_all_authors_in_turn() -> None:
    authors = [author_of(post) for post in range(1, 2 * AUTHORS + 1)]
    assert set(authors) == set(range(1, AUTHORS + 1))
    assert authors[:AUTHORS] == authors[AUTHORS:]


@pytest.mark.parametrize(
    ("allowed", "asked", "seen"),
    [
        (None, None, None),
        (None, {1, 2}, {1, 2}),
        ({1, 2}, None, {1, 2}),
        ({1, 2}, {2, 3}, {2}),
        ({1}, {2}, set()),
        (set(), None, set()),
    ],
)
def test_what_is_seen_is_both_allowed_and_asked_for(
    allowed: set[int] | None, asked: set[int] | None, seen: set[int] | None
) -> None:
    def frozen(authors: set[int] | None) -> frozenset[int] | None:
        return None if authors is None else frozenset(authors)

    assert seen_of(frozen(allowed), frozen(asked)) == frozen(seen)


def test_the_database_is_told_the_same() -> None:
    """Of numbers as small as these an expression of SQL is one of Python's, too."""
    for post in range(1, 2 * AUTHORS + 1):
        assert eval(author_sql(str(post))) == author_of(post)  # noqa: S307 - of our own words
