"""Who leads, by the word of several brokers."""

from collections.abc import Mapping

import pytest

from edge.feed.leader import Address, Claim, Told, leader, voters


def at(number: int) -> Address:
    return Address(f"broker-{number}", 9092)


def told(claim: tuple[int, set[int]] | None, *, knows: set[int]) -> Told:
    return Told(
        {number: at(number) for number in knows}, None if claim is None else Claim(claim[0], frozenset(claim[1]))
    )


ALL = {1, 2, 3}
DEPOSED = told((3, ALL), knows=ALL)
NEW = told((1, ALL), knows={1, 2})
"""Of those that have taken the deposed one off their list."""


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({}, None),
        ({3: DEPOSED}, None),
        ({3: DEPOSED, 1: NEW}, None),
        ({3: DEPOSED, 1: NEW, 2: NEW}, 1),
        ({1: NEW, 2: NEW}, 1),
        ({3: DEPOSED, 2: DEPOSED}, 3),
        ({1: told((2, ALL), knows=ALL), 2: told((1, ALL), knows=ALL), 3: DEPOSED}, None),
        # Between two leaders there is none.
        ({1: told(None, knows=ALL), 2: told((-1, ALL), knows=ALL), 3: told((-1, ALL), knows=ALL)}, None),
        # Another set of replicas is another claim: its majority is another one.
        ({1: told((1, {1, 4, 5}), knows=ALL), 2: NEW}, None),
        # Half of an even number is no majority: the other half may name another one.
        ({1: told((1, {1, 2, 3, 4}), knows={1, 2}), 2: told((1, {1, 2, 3, 4}), knows={1, 2})}, None),
        # Who keeps no copy may never have heard of what was confirmed.
        ({4: told((3, ALL), knows={3, 4, 5}), 5: told((3, ALL), knows={3, 4, 5}), 3: DEPOSED}, None),
        ({1: told((1, {1}), knows={1})}, 1),
    ],
)
def test_more_than_half_of_the_replicas_name_the_leader(answers: Mapping[int, Told], found: int | None) -> None:
    """And none of those that are no replicas, or that did not answer."""
    expected = None if found is None else at(found)
    assert leader({at(number): answer for number, answer in answers.items()}) == expected


def test_one_broker_under_several_names_has_one_vote() -> None:
    """A load balancer leads to anybody: only what is asked at a broker's own address is that broker's word."""
    balancer = {Address(name, 9092): DEPOSED for name in ("kafka", "kafka.local")}
    assert leader({**balancer, at(3): DEPOSED}) is None


def test_those_who_vote_are_the_replicas_whose_address_is_told() -> None:
    """By the broker that has taken another one off its list, or by that other one."""
    assert voters({at(4): told((1, {1, 2, 6}), knows={1, 2, 4, 5})}) == {at(1), at(2)}
    assert voters({at(3): DEPOSED, at(1): NEW}) == {at(1), at(2), at(3)}
    assert voters({at(3): told(None, knows=ALL)}) == set()
