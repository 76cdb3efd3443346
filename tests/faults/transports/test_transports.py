"""What all transports have in common."""

import pytest

from integration.faults.sight import Breach
from integration.faults.transports import author_query, refuse_final


@pytest.mark.parametrize("code", [1002, 1008, 1009, 4500, 4999])
def test_an_end_for_good_is_against_the_protocol_since_no_client_here_deserves_it(code: int) -> None:
    with pytest.raises(Breach, match=f"not to come back: {code} why"):
        refuse_final(code, "why")


@pytest.mark.parametrize("code", [1001, 1011, 4001, 4008, 4499])
def test_other_ends_are_not(code: int) -> None:
    refuse_final(code, "why")


def test_everybodys_posts_are_asked_for_without_a_word() -> None:
    assert author_query(None) == {}
    assert author_query(frozenset({9, 2})) == {"author": "2,9"}
