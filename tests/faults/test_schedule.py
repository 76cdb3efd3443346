"""The same seed gives the same schedule, and a block of seeds deals every kind of fault once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.faults.schedule import HANDS, KINDS, NEEDS_DURABLE_KAFKA, Fault, deal, queue_arguments, systems

EVERYTHING = ("edge-0", "edge-1", "worker-0", "worker-1", "worker-2", "rabbitmq", "kafka", "postgres")
SEEDS = st.integers(0, 10_000)


@given(SEEDS)
def test_the_same_seed_gives_the_same_schedule(seed: int) -> None:
    assert deal(seed) == deal(seed)


def test_a_seed_keeps_its_schedule_from_one_release_of_python_to_the_next() -> None:
    """A seed in a report is worth nothing once it means another schedule."""
    assert deal(7) == (
        Fault("undecodable row", ("postgres",), at_ms=2564, lasts_ms=1048),
        Fault("slow postgres", ("postgres",), at_ms=2628, lasts_ms=774),
        Fault("half-open rabbitmq", ("rabbitmq",), at_ms=4134, lasts_ms=1725),
        Fault("poison bulk", EVERYTHING, at_ms=7723, lasts_ms=1093),
    )


@given(st.integers(0, 500))
def test_a_block_of_seeds_deals_every_kind_once(block: int) -> None:
    dealt = [fault.kind for hand in range(HANDS) for fault in deal(block * HANDS + hand)]
    assert sorted(dealt) == sorted(KINDS)


@given(SEEDS)
def test_faults_come_in_the_order_in_which_they_begin(seed: int) -> None:
    begins = [fault.at_ms for fault in deal(seed)]
    assert begins == sorted(begins)


@given(SEEDS)
def test_no_fault_lasts_longer_than_thirty_seconds(seed: int) -> None:
    assert all(500 <= fault.lasts_ms <= 30_000 for fault in deal(seed))


@given(SEEDS)
def test_what_cannot_be_had_is_left_out_and_the_rest_stays_as_it_is(seed: int) -> None:
    kept = tuple(fault for fault in deal(seed) if fault.kind not in NEEDS_DURABLE_KAFKA)
    assert deal(seed, NEEDS_DURABLE_KAFKA) == kept


@pytest.mark.parametrize(
    ("kind", "number"), [("kill one worker", 1), ("stop two workers", 2), ("term three workers", 3), ("kill edge", 1)]
)
def test_a_fault_has_as_many_targets_as_its_name_says(kind: str, number: int) -> None:
    faults = [fault for seed in range(HANDS) for fault in deal(seed) if fault.kind == kind]
    assert [len(set(fault.targets)) for fault in faults] == [number]


def test_a_kind_says_what_is_done_and_to_what() -> None:
    fault = Fault("crash feed.split", ("worker-0",), 0, 0)
    assert (fault.act, fault.object) == ("crash", "feed.split")


def test_seeds_are_divided_among_systems_and_none_follows_a_log_that_was_cut() -> None:
    """All of them, in their order, a few for each system."""
    seeds = range(5, 40)
    divided = list(systems(seeds))
    assert [seed for some in divided for seed in some] == list(seeds)
    assert {len(some) for some in divided} <= {1, 2, 3, 4, 5}
    assert all(len({str(queue_arguments(seed)) for seed in some}) == 1 for some in divided)
    cutting = {seed for seed in seeds if any(fault.act == "retention" for fault in deal(seed))}
    assert cutting
    assert not cutting & {seed for some in divided for seed in some[:-1]}


def test_a_deck_is_tried_on_both_kinds_of_queues() -> None:
    assert {str(queue_arguments(seed)) for seed in range(HANDS)} == {"{}", "{'x-queue-type': 'quorum'}"}
