"""Connections are counted exactly."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.access.limits import SPARE, SPARE_PER_ADDRESS, Census, Place, Standing


def stand(*places: Place | None) -> list[Standing | None]:
    """Say how they stand."""
    return [None if place is None else place.standing for place in places]


def test_above_the_total_a_few_are_let_in_to_be_told_so() -> None:
    """Four of an address, 64 in all; who comes then is cut. A place that is left can be taken."""
    census = Census(total=2, per_address=0)
    first, second = census.arrive("a"), census.arrive("a")
    assert stand(first, second) == [Standing.ADMITTED] * 2
    told = [census.arrive("a") for _ in range(SPARE_PER_ADDRESS)]
    assert stand(*told) == [Standing.FULL] * SPARE_PER_ADDRESS
    assert census.arrive("a") is None
    others = [census.arrive(str(number)) for number in range(SPARE - SPARE_PER_ADDRESS)]
    assert set(stand(*others)) == {Standing.FULL}
    assert census.arrive("b") is None
    assert census.turned_away == {Standing.FULL: SPARE + 2}
    assert first is not None
    assert told[0] is not None
    census.leave(first)
    census.leave(told[0])
    assert stand(census.arrive("a"), census.arrive("a")) == [Standing.ADMITTED, Standing.FULL]


def test_one_address_has_no_more_than_its_share() -> None:
    census = Census(total=100, per_address=2)
    assert stand(*[census.arrive("a") for _ in range(3)]) == [Standing.ADMITTED, Standing.ADMITTED, Standing.CROWDED]
    assert stand(census.arrive("b")) == [Standing.ADMITTED]
    assert census.turned_away == {Standing.CROWDED: 1}


def test_a_proxys_connections_count_for_those_who_are_behind_it() -> None:
    """From the moment on when it says who they are; one connection may serve one after the other."""
    census = Census(total=100, per_address=1)
    one, other = census.arrive(None), census.arrive(None)
    assert one is not None
    assert other is not None
    assert census.name(one, "a") is Standing.ADMITTED
    assert census.name(one, "a") is Standing.ADMITTED
    assert census.name(other, "a") is Standing.CROWDED
    assert stand(census.arrive("a")) == [Standing.CROWDED]
    assert census.name(one, "b") is Standing.ADMITTED
    assert census.name(other, "a") is Standing.ADMITTED
    census.leave(other)
    assert stand(census.arrive("a")) == [Standing.ADMITTED]
    assert census.turned_away == {Standing.CROWDED: 2}


def test_who_is_only_told_so_stays_that() -> None:
    """Also when somebody has left meanwhile: it is a spare place that it has."""
    census = Census(total=1, per_address=0)
    first, second = census.arrive("a"), census.arrive(None)
    assert first is not None
    assert second is not None
    census.leave(first)
    assert census.name(second, "b") is Standing.FULL
    assert census.connections == 1


class Coming(RuleBasedStateMachine):
    """Connections come, are named and go in any order: every one is counted once, and none is left."""

    def __init__(self) -> None:
        super().__init__()
        self.census = Census(total=3, per_address=2)
        self.places: list[Place] = []

    @rule(address=st.sampled_from([None, "a", "b", "c"]))
    def arrive(self, address: str | None) -> None:
        place = self.census.arrive(address)
        if place is not None:
            self.places.append(place)

    @rule(which=st.integers(0), address=st.sampled_from(["a", "b"]))
    def name(self, which: int, address: str) -> None:
        if self.places:
            self.census.name(self.places[which % len(self.places)], address)

    @rule(which=st.integers(0))
    def leave(self, which: int) -> None:
        if self.places:
            self.census.leave(self.places.pop(which % len(self.places)))

    @invariant()
    def counts(self) -> None:
        assert self.census.connections == len(self.places)
        admitted = [place.address for place in self.places if place.standing is Standing.ADMITTED]
        assert len(admitted) <= 3
        assert all(admitted.count(address) <= 2 for address in "abc")

    def teardown(self) -> None:
        for place in self.places:
            self.census.leave(place)
        assert self.census.connections == 0
        assert [self.census.arrive(each) is None for each in "abc"] == [False] * 3


TestComing = Coming.TestCase
