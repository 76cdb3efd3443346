"""The rules of RFC 6455 that are not kept are those that the documentation lists."""

import re
from typing import Final

import aiohttp

from tests.edge.conformance import test_frames as frames
from tests.edge.conformance import test_handshake as handshake
from tests.test_docs import PROTOCOL, rows, section

CONFORMANCE: Final = section(PROTOCOL, "## Conformance")


def answered(answer: handshake.Answer) -> str:
    return str(answer.status) if answer.subprotocol is None else f"{answer.status}, `{answer.subprotocol}`"


def test_every_deviation_is_listed_with_what_a_client_gets() -> None:
    """And each is one: what is got is not what must be."""
    expected = [
        (f"§{rule.section}", rule.name, answered(rule.answer), answered(handshake.DEVIATIONS[rule.name]))
        for rule in handshake.RULES
        if rule.name in handshake.DEVIATIONS
    ]
    assert sorted(tuple(cells[:4]) for cells in rows(CONFORMANCE)) == sorted(expected)
    assert len(expected) == len(handshake.DEVIATIONS)
    assert all(must != got for _, _, must, got in expected)


def test_no_rule_has_the_name_of_another() -> None:
    for table in ([rule.name for rule in frames.RULES], [rule.name for rule in handshake.RULES]):
        assert len(set(table)) == len(table)


def test_the_list_is_that_of_the_aiohttp_that_is_installed() -> None:
    """Another release: read what it has changed, and then its number."""
    assert re.findall(r"aiohttp (\d[\d.]*\d)", CONFORMANCE) == [aiohttp.__version__]
