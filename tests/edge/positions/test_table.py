"""The statements as PostgreSQL is asked them; ``integration/test_acknowledged.py`` asks."""

import pytest
from sqlalchemy.dialects import postgresql

from edge.positions import table

_DIALECT = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own


def _text(statement: object) -> str:
    compiled = getattr(statement, "compile")(dialect=_DIALECT)  # noqa: B009 - of several types that have nothing in common
    return " ".join(str(compiled).split())


def test_positions_sort_by_their_bytes_and_rows_have_room() -> None:
    """Where the database has another collation, digits could come behind letters."""
    created = _text(table.CREATE)
    assert 'position TEXT COLLATE "C" NOT NULL' in created
    assert created.startswith("CREATE TABLE IF NOT EXISTS postcast_positions (")
    assert created.endswith("PRIMARY KEY (subject, device) ) WITH (fillfactor = 70)")


def test_one_statement_stores_what_is_further_on_in_one_order() -> None:
    """Two edges that store the same devices do not wait for each other for ever."""
    written = _text(table.WRITE)
    assert "WHERE postcast_positions.position < excluded.position" in written
    assert 'ORDER BY given.subject COLLATE "C", given.device COLLATE "C" ON CONFLICT' in written


def test_rows_that_are_replaced_are_locked_in_the_same_order() -> None:
    """Of the table's columns, which have the collation C."""
    assert (
        "ORDER BY postcast_positions.subject, postcast_positions.device FOR UPDATE OF postcast_positions) AS swapped"
    ) in _text(table.SWAP)


def test_who_makes_place_waits_for_nobody() -> None:
    assert "FOR UPDATE OF postcast_positions SKIP LOCKED) AS oldest" in _text(table.TRIM)


@pytest.mark.parametrize(
    ("statement", "arrays"),
    [
        (table.READ, {"subjects", "devices"}),
        (table.SWAP, {"subjects", "devices", "positions", "replaced"}),
        (table.WRITE, {"subjects", "devices", "positions"}),
        (table.TRIM, {"subjects"}),
    ],
)
def test_what_is_given_is_given_as_arrays(statement: object, arrays: set[str]) -> None:
    """One statement for any number of rows; the only other parameter is the number of devices."""
    parameters = getattr(statement, "compile")(dialect=_DIALECT).params  # noqa: B009 - as above
    assert {name for name, value in parameters.items() if value is None} == arrays
