"""Who wrote which post."""

from integration.faults.authors import AUTHORS, author_of, author_sql


def test_consecutive_posts_are_by_all_authors_in_turn() -> None:
    authors = [author_of(post) for post in range(1, 2 * AUTHORS + 1)]
    assert set(authors) == set(range(1, AUTHORS + 1))
    assert authors[:AUTHORS] == authors[AUTHORS:]


def test_the_database_is_told_the_same() -> None:
    """Of numbers as small as these an expression of SQL is one of Python's, too."""
    for post in range(1, 2 * AUTHORS + 1):
        assert eval(author_sql(str(post))) == author_of(post)  # noqa: S307 - of our own words
