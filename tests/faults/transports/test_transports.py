"""What all transports have in common."""

import pytest

from integration.faults.bearers import BRIEF, ENDING, Bearer, Issuer
from integration.faults.sight import Breach
from integration.faults.transports import Later, author_query, refuse_final
from integration.faults.transports.pages import Pages


@pytest.mark.parametrize("code", [1002, 1008, 1009, 4500, 4999])
def test_an_end_for_good_is_against_the_protocol_since_no_client_here_deserves_it(code: int) -> None:
    with pytest.raises(Breach, match=f"not to come back: {code} why"):
        refuse_final(code, "why")


def test_a_token_that_was_to_run_out_is_replaced_and_any_other_one_is_not_to() -> None:
    issuer = Issuer()
    with pytest.raises(Later):
        refuse_final(4501, "why", Bearer(issuer, seconds=ENDING))
    for bearer in (None, Bearer(issuer), Bearer(issuer, seconds=BRIEF)):
        with pytest.raises(Breach):
            refuse_final(4501, "why", bearer)
    with pytest.raises(Breach):
        refuse_final(4500, "why", Bearer(issuer, seconds=ENDING))


def test_each_connection_has_a_token_of_its_own() -> None:
    issuer = Issuer()
    transport = Pages(Bearer(issuer))
    assert transport.authorization.keys() == {"Authorization"}
    assert transport.authorization["Authorization"].startswith("Bearer ")
    assert issuer.issued == 2
    assert Pages().authorization == {}


@pytest.mark.parametrize("code", [1001, 1011, 4001, 4008, 4499])
def test_other_ends_are_not(code: int) -> None:
    refuse_final(code, "why")


def test_everybodys_posts_are_asked_for_without_a_word() -> None:
    assert author_query(None) == {}
    assert author_query(frozenset({9, 2})) == {"author": "2,9"}
