"""What an error of a statement means, and what of it may be the fault of the ids that were asked for."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from streams.enrichment import BadRow
from streams.lookup import TimedOut, Unavailable, Unreadable, failure


def answered(state: str) -> DBAPIError:
    """Return PostgreSQL's answer as SQLAlchemy hands it on."""
    return DBAPIError("SELECT", {}, asyncpg.PostgresError.new({"C": state, "M": f"what\nwent {state}"}))


@pytest.mark.parametrize(
    "state",
    [
        "22012",  # division_by_zero
        "21000",  # cardinality_violation: a subquery with two rows
        "53100",  # disk_full: temporary files
        "53200",  # out_of_memory
        "53400",  # configuration_limit_exceeded: temp_file_limit
        "54001",  # statement_too_complex
        "58030",  # io_error
        "P0001",  # raise_exception
        "38000",  # external_routine_exception
        "XX001",  # data_corrupted
    ],
)
def test_what_may_be_the_ids_fault_is_unreadable(state: str) -> None:
    failed = failure(answered(state))
    assert isinstance(failed, Unreadable)
    assert str(failed) == "what"


@pytest.mark.parametrize(
    "state",
    [
        "53300",  # too_many_connections
        "57P01",  # admin_shutdown
        "08006",  # connection_failure
        "40001",  # serialization_failure: a standby's conflict with recovery
        "42501",  # insufficient_privilege
        "42P01",  # undefined_table
        "25006",  # read_only_sql_transaction
        "28P01",  # invalid_password
        "0A000",  # feature_not_supported
        "",
    ],
)
def test_what_speaks_of_the_database_is_unavailable(state: str) -> None:
    assert isinstance(failure(answered(state)), Unavailable)


@pytest.mark.parametrize("state", ["57014", "55P03", "25P04"])
def test_what_took_too_long_timed_out(state: str) -> None:
    assert isinstance(failure(answered(state)), TimedOut)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncpg.PostgresError.new({"C": "22023", "M": "what"}), Unreadable),
        (TimeoutError(), TimedOut),
        (ConnectionResetError("reset"), Unavailable),
        (SQLAlchemyError("no rows"), Unavailable),
        (asyncpg.InternalClientError("another operation is in progress"), Unavailable),
        (BadRow("the post's created_at is NULL"), Unreadable),
        (OverflowError("date value out of range"), Unreadable),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), Unreadable),
    ],
)
def test_what_the_driver_raises_itself(error: Exception, kind: type[Exception]) -> None:
    assert type(failure(error)) is kind


def test_an_error_that_no_statement_should_raise_means_nothing() -> None:
    assert failure(AttributeError("a mistake of ours")) is None
