"""Whom a majority of a partition's replicas takes for its leader: one broker's word may be old.

A leader that is cut off from the others goes on telling where the feed ended, until it learns of its deposition. But
what was confirmed behind that end is on a majority of the replicas (``min.insync.replicas``, which Postcast sets so),
and each of those knows the leader that wrote it, or a later one. Two majorities share a replica, so that whoever leads
by the word of a majority has all that was confirmed before it was asked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Address(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int


class Claim(NamedTuple):
    """Who leads a partition, and who keeps copies of it, by the word of one broker; the ids are brokers'."""

    leader: int
    replicas: frozenset[int]


@dataclass(frozen=True, slots=True)
class Told:
    """What a broker tells: where the brokers are that it knows, and its claim if it knows the partition."""

    brokers: Mapping[int, Address]
    claim: Claim | None


def voters(answers: Mapping[Address, Told]) -> set[Address]:
    """Return the replicas that the answers name: whom to ask before a claim can have a majority."""
    return {
        told.brokers[number]
        for told in answers.values()
        if told.claim is not None
        for number in told.claim.replicas
        if number in told.brokers
    }


def leader(answers: Mapping[Address, Told]) -> Address | None:
    """Return where the leader is that more than half of the replicas name; None when there is no such one."""
    for told in answers.values():
        claim = told.claim
        if claim is None or claim.leader not in told.brokers:
            continue
        agreeing = {number for number in _claiming(answers, claim) if number in claim.replicas}
        if 2 * len(agreeing) > len(claim.replicas):
            return told.brokers[claim.leader]
    return None


def _claiming(answers: Mapping[Address, Told], claim: Claim) -> Iterator[int]:
    """Yield the brokers that make a claim. One that nobody's list has at its address counts for nobody."""
    numbers = {address: number for told in answers.values() for number, address in told.brokers.items()}
    for address, told in answers.items():
        if told.claim == claim and address in numbers:
            yield numbers[address]
