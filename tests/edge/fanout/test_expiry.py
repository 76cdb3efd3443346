"""When a token's end is told, and comes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.access.grant import LEEWAY_SECONDS, Grant
from edge.fanout.expiry import SOONEST, Expiry, end_of, expiry_of, lead

NOW, UTC = 1000.0, 1_700_000_000.0


def expiry(left: float, session: str = "s", *, is_told: bool = True) -> Expiry:
    """Return what becomes of a token that expires in so many seconds."""
    made = expiry_of(Grant("7", None, UTC + left), session, now=NOW, utc=UTC, is_told=is_told)
    assert made is not None
    return made


def test_who_has_not_signed_in_or_has_a_token_without_an_end_is_never_ended() -> None:
    for grant in (None, Grant("7", None, None)):
        assert expiry_of(grant, "s", now=NOW, utc=UTC, is_told=True) is None
        assert end_of(grant, now=NOW, utc=UTC) == math.inf


def test_clients_that_signed_in_together_are_told_at_different_times() -> None:
    """60 to 90 s before, evenly: of 10,000 no second has more than 400 instead of 333."""
    leads = [lead(f"{number:016x}") for number in range(10_000)]
    assert 60 <= min(leads) <= 60.1
    assert 89.9 <= max(leads) <= 90
    assert max(list(map(int, leads)).count(second) for second in range(60, 90)) < 400
    assert [expiry(3600, f"{number:016x}").warns_at for number in range(9)] == [NOW + 3600 - one for one in leads[:9]]


@pytest.mark.parametrize(
    ("left", "told_after"),
    [(3600, 3600 - lead("s")), (180, 180 - lead("s")), (120, 60), (10, 5), (1, 1), (0, 1), (-20, 1), (-29, 0.5)],
)
def test_where_less_is_left_it_is_told_at_half_of_that(left: float, told_after: float) -> None:
    """If that is later; one that is taken although it has expired is told of in a second, not at once and for ever."""
    made = expiry(left)
    assert made.warns_at == NOW + told_after
    assert (made.expires_at, made.ends_at) == (UTC + left, NOW + left + LEEWAY_SECONDS)


def test_a_client_that_cannot_be_told_is_not() -> None:
    """Its session ends all the same."""
    made = expiry(10, is_told=False)
    assert (made.warns_at, made.ends_at) == (math.inf, NOW + 10 + LEEWAY_SECONDS)


@given(st.floats(-LEEWAY_SECONDS, 1e9), st.text(max_size=16))
def test_a_client_is_told_before_the_end_and_never_before_the_token_has_come(left: float, session: str) -> None:
    made = expiry(left, session)
    assert NOW <= made.warns_at <= made.ends_at
    assert made.warns_at <= NOW + max(left, SOONEST)
