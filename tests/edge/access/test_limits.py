"""Connections are counted exactly."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.access.limits import SPARE, SPARE_PER_ADDRESS, Admission, Census, Slot


def stand(*slots: Slot | None) -> list[Admission | None]:
    """Say how they stand."""
    return [None if slot is None else slot.admission for slot in slots]


def test_above_the_total_a_few_are_let_in_to_be_told_so() -> None:
    """Four of an address, 64 in all; who comes then is cut. A place that is left can be taken."""
    census = Census(total=2, per_address=0)
    first, second = census.arrive("a"), census.arrive("a")
    assert stand(first, second) == [Admission.ADMITTED] * 2
    told = [census.arrive("a") for _ in range(SPARE_PER_ADDRESS)]
    assert stand(*told) == [Admission.FULL] * SPARE_PER_ADDRESS
    assert census.arrive("a") is None
    others = [census.arrive(str(number)) for number in range(SPARE - SPARE_PER_ADDRESS)]
    assert set(stand(*others)) == {Admission.FULL}
    assert census.arrive("b") is None
    assert census.turned_away == {Admission.FULL: SPARE + 2}
    assert first is not None
    assert told[0] is not None
    census.leave(first)
    census.leave(told[0])
    assert stand(census.arrive("a"), census.arrive("a")) == [Admission.ADMITTED, Admission.FULL]


def test_one_address_has_no_more_than_its_share() -> None:
    census = Census(total=100, per_address=2)
    assert stand(*[census.arrive("a") for _ in range(3)]) == [Admission.ADMITTED, Admission.ADMITTED, Admission.CROWDED]
    assert stand(census.arrive("b")) == [Admission.ADMITTED]
    assert census.turned_away == {Admission.CROWDED: 1}


def test_a_proxys_connections_count_for_those_who_are_behind_it() -> None:
    """From the moment on when it says who they are; one connection may serve one after the other."""
    census = Census(total=100, per_address=1)
    one, other = census.arrive(None), census.arrive(None)
    assert one is not None
    assert other is not None
    assert census.identify(one, "a") is Admission.ADMITTED
    assert census.identify(one, "a") is Admission.ADMITTED
    assert census.identify(other, "a") is Admission.CROWDED
    assert stand(census.arrive("a")) == [Admission.CROWDED]
    assert census.identify(one, "b") is Admission.ADMITTED
    assert census.identify(other, "a") is Admission.ADMITTED
    census.leave(other)
    assert stand(census.arrive("a")) == [Admission.ADMITTED]
    assert census.turned_away == {Admission.CROWDED: 2}


def test_a_subject_has_no_more_than_its_share_wherever_it_comes_from() -> None:
    """A connection may serve one after the other, and counts for who has signed in last."""
    census = Census(total=100, per_address=0, per_subject=1)
    one, other = census.arrive("a"), census.arrive("b")
    assert one is not None
    assert other is not None
    assert [census.sign_in(one, "7"), census.sign_in(one, "7"), census.sign_in(other, "7")] == [True, True, False]
    assert census.sign_in(other, "9")
    assert not census.sign_in(other, "7")
    census.sign_out(one)
    census.sign_out(one)
    assert census.sign_in(other, "7")
    assert not census.sign_in(one, "7")
    census.leave(other)
    assert census.sign_in(one, "7")
    assert one.subject == "7"


def test_without_a_limit_no_subject_is_kept() -> None:
    census = Census(total=100, per_address=0)
    slot = census.arrive("a")
    assert slot is not None
    assert census.sign_in(slot, "7")
    assert slot.subject is None


def test_who_is_only_told_so_stays_that() -> None:
    """Also when somebody has left meanwhile: it is a spare place that it has."""
    census = Census(total=1, per_address=0)
    first, second = census.arrive("a"), census.arrive(None)
    assert first is not None
    assert second is not None
    census.leave(first)
    assert census.identify(second, "b") is Admission.FULL
    assert census.connections == 1


class Coming(RuleBasedStateMachine):
    """Connections come, are named and go in any order: every one is counted once, and none is left."""

    def __init__(self) -> None:
        super().__init__()
        self.census = Census(total=3, per_address=2)
        self.slots: list[Slot] = []

    @rule(address=st.sampled_from([None, "a", "b", "c"]))
    def arrive(self, address: str | None) -> None:
        slot = self.census.arrive(address)
        if slot is not None:
            self.slots.append(slot)

    @rule(which=st.integers(0), address=st.sampled_from(["a", "b"]))
    def name(self, which: int, address: str) -> None:
        if self.slots:
            self.census.identify(self.slots[which % len(self.slots)], address)

    @rule(which=st.integers(0))
    def leave(self, which: int) -> None:
        if self.slots:
            self.census.leave(self.slots.pop(which % len(self.slots)))

    @invariant()
    def counts(self) -> None:
        assert self.census.connections == len(self.slots)
        admitted = [slot.address for slot in self.slots if slot.admission is Admission.ADMITTED]
        assert len(admitted) <= 3
        assert all(admitted.count(address) <= 2 for address in "abc")

    def teardown(self) -> None:
        for slot in self.slots:
            self.census.leave(slot)
        assert self.census.connections == 0
        assert [self.census.arrive(each) is None for each in "abc"] == [False] * 3


TestComing = Coming.TestCase
