"""How a session ends, as it is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.wire.closing import NO_CODE, Disconnect, answer_to, with_return


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "later"),
        (0.0, "later retry_after=0.1"),
        (0.1, "later retry_after=0.1"),
        (3.61, "later retry_after=3.7"),
        (5.0, "later retry_after=5"),
        (119.95, "later retry_after=120"),
    ],
)
def test_a_reason_ends_with_when_to_come_back(seconds: float | None, told: str) -> None:
    """In tenths of a second, never too early."""
    assert with_return("later", seconds) == told


@given(st.text(max_size=200), st.none() | st.floats(0, 1000))
def test_a_reason_fits_into_a_close(reason: str, seconds: float | None) -> None:
    """RFC 6455 §5.5.1; it is cut between characters, and what is told of the time is whole."""
    told = with_return(reason, seconds)
    assert len(told.encode()) <= 123
    sentence, _, after = told.rpartition(" retry_after=") if seconds is not None else (told, "", "")
    assert reason.startswith(sentence)
    if seconds is not None:
        assert seconds <= float(after) + 1e-6
        assert float(after) <= seconds + 0.1 + 1e-6


def test_a_clients_code_makes_no_series_of_its_own() -> None:
    """The edge's own codes do."""
    assert Disconnect(4999, "", "client").label == "other"
    assert [Disconnect(code, "", "client").label for code in (1000, 1001, NO_CODE, 1006)] == [
        "1000",
        "1001",
        "1005",
        "1006",
    ]
    assert Disconnect(4008, "").label == "4008"


@pytest.mark.parametrize(("code", "answer"), [(1000, 1000), (None, None), (4999, 4999), (1010, 1000)])
def test_a_close_is_answered_with_its_own_code(code: int | None, answer: int | None) -> None:
    """But for the one that only a client can say (RFC 6455 §7.4.1)."""
    assert answer_to(code) == answer
