"""How ends are told and counted."""

import pytest

from edge.clients.codes import CLOSES, CUTS, REFUSALS
from edge.fanout.ending import End


@pytest.mark.parametrize("end", End)
def test_every_reason_to_end_has_a_code_of_the_servers(end: End) -> None:
    """To be sent, or, where nothing can be, to be counted; reasons fit into a close frame (RFC 6455 §5.5)."""
    told = [codes[end] for codes in (CLOSES, CUTS) if end in codes]
    assert told
    assert {disconnect.by for disconnect in told} == {"server"}
    assert all(len(disconnect.reason.encode()) <= 123 for disconnect in told)


def test_a_client_comes_back_after_every_end_but_that_of_its_token() -> None:
    """1001 and 4000 to 4499; of a cut it sees 1006. With the token that has run out it would be refused."""
    assert {end.name: disconnect.code for end, disconnect in CLOSES.items()} == {
        "SHUTDOWN": 1001,
        "INTERRUPTED": 1001,
        "AGED": 1001,
        "FELL_BEHIND": 4008,
        "FAULT": 1011,
        "EXPIRED": 4501,
    }
    assert {disconnect.code for disconnect in CUTS.values()} == {1006}


def test_a_refusal_has_the_code_that_says_whether_to_come_back() -> None:
    """Not with a request that makes no sense or is forbidden; later where there is no room."""
    assert REFUSALS == {400: 4500, 401: 4501, 403: 4503, 414: 4500, 429: 4001, 503: 4001}
